"""A FastAPI application that returns its body: what HTTP and JSON cost without a model."""

from typing import Any

from fastapi import FastAPI

application = FastAPI()


@application.get("/ready")
async def ready() -> dict[str, bool]:
    return {"ready": True}


@application.post("/predict")
async def predict(body: dict[str, Any]) -> dict[str, Any]:
    return body
