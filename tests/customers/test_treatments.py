"""Claims about the configuration of treatments: defaults, overrides and invalid combinations."""

import re
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from churn_kedro.customers.declaration import Column, DerivedColumn
from churn_kedro.customers.treatments import Binning, Treatment
from churn_kedro.features.parameters import FeatureParameters, SelectionParameters
from tests import ROOT

IQR = {"method": "iqr", "action": "clip", "threshold": 1.5}
QUARTERS = {"method": "quantile", "bins": 4}


def treat(**fields: Any) -> Treatment:
    return Treatment.model_validate(fields)


def test_keys_that_are_left_out_have_the_default_of_the_kind() -> None:
    default = treat(missing="median", indicator=True, outliers=IQR, scaling="standard")

    assert treat(scaling="robust").over(default) == treat(
        missing="median", indicator=True, outliers=IQR, scaling="robust"
    )


def test_null_disables_outliers_and_binning_of_the_kind() -> None:
    default = treat(missing="keep", outliers=IQR, binning=QUARTERS)

    assert treat(outliers=None).over(default) == treat(missing="keep", binning=QUARTERS)
    assert treat(binning=None).over(default) == treat(missing="keep", outliers=IQR)
    assert treat().over(default) == default


def test_null_of_other_keys_means_the_default() -> None:
    default = treat(missing="median", scaling="standard", indicator=True)

    assert treat(missing=None, scaling=None, indicator=None).over(default) == default


def test_the_default_fill_value_does_not_apply_to_another_treatment() -> None:
    constant = treat(missing="constant", fill_value=3)

    assert treat(missing="median").over(constant) == treat(missing="median")
    assert treat(indicator=True).over(constant) == treat(missing="constant", fill_value=3, indicator=True)
    assert constant.over(treat(missing="median")) == constant


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"missing": "constant"}, "missing: constant and fill_value require each other"),
        ({"missing": "median", "fill_value": 3}, "missing: constant and fill_value require each other"),
        ({"parts": ["age", "age"]}, "parts of a date repeat"),
        ({"parts": []}, "at least 1 item"),
        ({"outliers": {"method": "iqr", "action": "clip", "threshold": 0}}, "greater than 0"),
        ({"binning": {"method": "quantile"}}, "binning by quantile needs bins and takes no edges"),
        ({"binning": {"method": "width", "bins": 3, "edges": [1]}}, "binning by width needs bins and takes no edges"),
        ({"binning": {"method": "edges", "bins": 3}}, "binning by edges needs edges and takes no bins"),
        ({"binning": {"method": "edges", "edges": [2, 1]}}, "edges must ascend"),
        ({"binning": {"method": "quantile", "bins": 1}}, "greater than or equal to 2"),
        ({"scalling": "none"}, "Extra inputs"),
    ],
)
def test_a_treatment_that_contradicts_itself_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Treatment.model_validate(fields)


@pytest.mark.parametrize(
    ("kind", "fields", "keys"),
    [
        ("numeric", {"missing": "knn", "outliers": IQR, "binning": QUARTERS, "scaling": "robust"}, []),
        ("numeric", {"encoding": "one_hot", "parts": ["age"]}, ["encoding", "parts"]),
        ("numeric", {"missing": "constant", "fill_value": "none"}, ["fill_value"]),
        ("categorical", {"missing": "most_frequent", "encoding": "target", "indicator": True}, []),
        ("categorical", {"missing": "median"}, ["missing"]),
        ("binary", {"outliers": IQR, "binning": QUARTERS}, ["outliers", "binning"]),
        ("ordinal", {"scaling": "standard"}, ["scaling"]),
        ("ordinal", {"scaling": "none"}, []),
        ("date", {"missing": "median", "parts": ["season"], "scaling": "min_max"}, []),
        ("date", {"missing": "knn", "encoding": "native"}, ["missing", "encoding"]),
    ],
)
def test_misfits_of_a_treatment_are_listed_by_key(kind: str, fields: dict[str, Any], keys: list[str]) -> None:
    assert list(treat(**fields).misfits(kind)) == keys


def test_a_misfit_is_explained_with_the_allowed_values() -> None:
    assert treat(missing="median").misfits("binary")["missing"] == (
        "missing: median is not for kind binary, which takes constant, keep, most_frequent"
    )
    assert treat(scaling="robust").misfits("binary")["scaling"] == "scaling is for kind date or numeric, not for binary"


def test_edges_need_no_number_of_bins() -> None:
    assert Binning.model_validate({"method": "edges", "edges": [0, 1.5]}).edges == [0, 1.5]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"method": "variance", "number": 3}, "selection by variance needs threshold and takes no number"),
        ({"method": "variance"}, "selection by variance needs threshold and takes no number"),
        ({"method": "model", "threshold": 1}, "selection by model needs number and takes no threshold"),
        ({"method": "mutual_information", "number": 0}, "greater than or equal to 1"),
        ({"method": "mutual_information", "number": 2, "threshold": 1}, "needs number and takes no threshold"),
    ],
)
def test_a_selection_that_contradicts_itself_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SelectionParameters.model_validate(fields)


def test_the_configured_defaults_are_those_of_the_code() -> None:
    configured = yaml.safe_load((ROOT / "conf/base/parameters/features.yml").read_text(encoding="utf-8"))["features"]

    assert FeatureParameters.model_validate(configured) == FeatureParameters()
    assert set(configured) == set(FeatureParameters.model_fields)


def test_a_kind_that_is_configured_in_part_keeps_the_rest() -> None:
    parameters = FeatureParameters.model_validate({"date": {"missing": "median"}})

    assert parameters.of_kind("date") == treat(
        missing="median", indicator=False, scaling="none", parts=["age", "month"]
    )


def test_the_examples_of_the_guide_are_valid() -> None:
    guide = (ROOT / "docs/features.md").read_text(encoding="utf-8")
    features, customers = (yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", guide, flags=re.DOTALL))

    assert FeatureParameters.model_validate(features["features"]).selection is not None
    declared = customers["customers"]
    columns = [Column.model_validate(column) for column in declared["columns"]]
    assert [column.name for column in columns] == ["Visits", "Town", "Since"]
    assert DerivedColumn.model_validate(declared["derived"][0]).operation == "ratio"
