"""The page with a form for one customer."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from starlette.responses import Response

from churn_kedro.customers import DisplayNames
from churn_kedro.reporting import FormField, ServicePage, render_service_page
from churn_kedro.serving.use_case_routes import UseCaseRoutes

if TYPE_CHECKING:
    from starlette.requests import Request

    from churn_kedro.serving.guard import Endpoint


def make_page(routes: UseCaseRoutes, others: Mapping[str, str], *, needs_key: bool) -> Endpoint:
    """Make the endpoint of a page.

    Args:
        routes: Routes of the use case.
        others: Addresses of the pages of all use cases, by name.
        needs_key: Whether the page asks for an API key.

    Returns:
        The endpoint. Its policy allows the style and the script of the page by their digests, and nothing else.
    """
    requests, declaration = routes.requests, routes.use_case.declaration
    names = DisplayNames.of(declaration)
    html = render_service_page(
        ServicePage(
            routes.use_case.name,
            declaration.description,
            declaration.task,
            [
                FormField.of(
                    column,
                    names,
                    requests.allowed(column.name) or "",
                    requests.example[column.name],
                    is_required=requests.is_required(column),
                )
                for column in requests.columns
            ],
            others,
            needs_key,
        )
    )
    policy = (
        f"default-src 'none'; style-src {_digest_of(html, 'style')}; script-src {_digest_of(html, 'script')}; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ).encode()
    content = html.encode()

    async def page(request: Request) -> Response:
        request.scope["state"]["policy"] = policy
        return Response(content, media_type="text/html")

    return page


def _digest_of(html: str, tag: str) -> str:
    (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, flags=re.DOTALL)
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
