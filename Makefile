# Thin names for what people do daily. Everything here is one or two commands that also work by themselves.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
# One line per use case: `make train ENV=telco`.
KEDRO_ENV_OPTION := $(if $(ENV),--env $(ENV))
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
RUN := $(BIN)/kedro run $(KEDRO_ENV_OPTION)

# Some commands start others by name: `kedro mlflow ui` calls mlflow, `kedro jupyter` calls jupyter.
export PATH := $(CURDIR)/$(BIN):$(PATH)

# Bytecode is written once and read at every start; without it, start-up takes several times as long.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
# Every target with a description.
.PHONY: $(shell sed -n 's/^\([a-z-]*\):.*\#\#.*/\1/p' Makefile)

help: ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 22

PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps

install: $(VENV)/.installed $(if $(GPU),$(VENV)/.installed-gpu) ## Create .venv with what runs need; GPU=1 replaces XGBoost by the one with CUDA

install-dev: $(VENV)/.installed-dev ## Add what tests, notebooks, S3 and further algorithms need

$(VENV)/.installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) --require-hashes --requirement requirements.lock
	@# What an editable installation writes, without a build.
	echo "$(CURDIR)/src" > "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/churn_kedro.pth"
	touch $@

install-serve: $(VENV)/.installed-serve ## Add what the scoring service and Redis streams need

$(VENV)/.installed-serve: $(VENV)/.installed requirements-serve.lock
	$(PIP_INSTALL) --require-hashes --requirement requirements-serve.lock
	if [ -e $(VENV)/.installed-gpu ]; then $(USE_GPU); fi
	touch $@

# Both packages have the same files, so one is removed before the other is installed.
USE_GPU := $(BIN)/python -m pip uninstall --quiet --yes xgboost-cpu xgboost && \
	$(PIP_INSTALL) --require-hashes --requirement requirements-gpu.lock

$(VENV)/.installed-gpu: $(VENV)/.installed requirements-gpu.lock
	$(USE_GPU)
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.lock
	$(PIP_INSTALL) --require-hashes --requirement requirements-dev.lock
	if [ -e $(VENV)/.installed-gpu ]; then $(USE_GPU); fi
	touch $@

run: install ## The main job: all five pipelines
	$(RUN)

data: install ## Validate and split the customer table
	$(RUN) --pipelines data_processing

train: install ## Search, fit and register a version
	$(RUN) --pipelines training

evaluate: install ## Measure the latest version
	$(RUN) --pipelines evaluation

register: install ## Pass the latest version through the gate
	$(RUN) --pipelines registry

score: install ## Score new customers with the champion
	$(RUN) --pipelines inference

monitor: install ## Compare what is scored with what the champion was trained on
	$(RUN) --pipelines monitoring

serve: install-serve ## Serve predictions over HTTP with the champion
	$(BIN)/kedro serve $(KEDRO_ENV_OPTION)

stack: install-dev ## A team's servers on this machine without containers; S3=ceph keeps data, TLS=1 puts TLS in front
	$(BIN)/python -m deploy.stack $(if $(S3),--s3 $(S3)) $(if $(TLS),--tls)

sample: install ## Fabricate the sample customers again
	$(RUN) --pipelines fabrication

ui: install ## MLflow: runs, metrics, figures, versions
	$(BIN)/kedro mlflow ui $(KEDRO_ENV_OPTION)

viz: install ## Kedro-Viz: the pipelines as a picture
	$(BIN)/kedro viz $(KEDRO_ENV_OPTION)

notebooks: install-dev ## JupyterLab with catalog and context
	$(BIN)/kedro jupyter lab

lint: install-dev ## Style, types and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint ## Every check, on all cores
	$(BIN)/pytest --numprocesses auto --durations 20

test-fast: install-dev ## The tests of daily work, about a minute
	$(BIN)/pytest --numprocesses auto -m "not slow"

mutation: install-dev ## Are the tests of what decides sensitive to changed code? About two hours
	HYPOTHESIS_PROFILE=mutation OMP_NUM_THREADS=1 $(BIN)/mutmut run
	$(BIN)/python -m tests.benchmarks.mutants

benchmark: install-dev ## Wall time, throughput and memory of the main job
	$(BIN)/python -m tests.benchmarks.main_job

benchmark-data: install-dev ## Time and memory of the data pipeline, 10,000 and 1,000,000 rows
	$(BIN)/python -m tests.benchmarks.data

benchmark-registry: install-dev ## `kedro models list` on 200 versions, beside MLflow's bare call
	$(BIN)/python -m tests.benchmarks.registry

benchmark-training: install-dev ## Quality and speed of training beside XGBoost, logistic regression, CatBoost and FLAML
	$(BIN)/python -m tests.benchmarks.training

benchmark-evaluation: install-dev ## Time of an evaluation of 100,000 customers, and of explanations
	$(BIN)/python -m tests.benchmarks.evaluation

benchmark-treatment: install-dev ## What each treatment of the columns is worth
	$(BIN)/python -m tests.benchmarks.treatments

benchmark-inference: install-dev ## Batch beside the bare trees, and the service beside FastAPI and `mlflow models serve` (needs wrk)
	$(BIN)/python -m tests.benchmarks.inference

benchmark-monitoring: install-dev ## Drift of 1,000,000 and 10,000,000 rows; EVIDENTLY=PYTHON beside Evidently
	$(BIN)/python -m tests.benchmarks.monitoring $(if $(EVIDENTLY),--evidently $(EVIDENTLY))

benchmark-large: install-dev ## Training on 1,000,000 to 20,000,000 rows with Dask, beside training in memory; about an hour
	$(BIN)/python -m tests.benchmarks.large_tables

simulate-year: install-dev ## A year of a fabricated bank: drifts, alarms, trainings, recovery; about ten minutes
	$(BIN)/python -m tests.benchmarks.year

images: ## Build the images of jobs and of the service; see deploy/images/build.sh for BASE, BUILDER and SCAN
	deploy/images/build.sh job
	deploy/images/build.sh serve

audit: install-dev ## Known vulnerabilities of all locked packages (asks the package index)
	for lock in requirements*.lock deploy/images/*.lock; do \
		$(BIN)/pip-audit --disable-pip --no-deps --requirement $$lock || exit 1; done

licenses: install-dev ## The licences of all packages, in dist/licenses.md; fails for those that ask for the same licence
	mkdir -p dist
	$(BIN)/pip-licenses --format markdown --order license --with-urls --partial-match \
		--fail-on "Affero;GPLv3;GPL-3;Proprietary;SSPL" --output-file dist/licenses.md

sbom: install-dev ## The packages of the images as CycloneDX, in dist
	mkdir -p dist
	for kind in job serve; do \
		$(BIN)/cyclonedx-py requirements --output-reproducible --pyproject pyproject.toml \
			--output-file dist/churn-kedro-$$kind.cdx.json deploy/images/$$kind.lock || exit 1; done

# Its own environment: Airflow needs an older FastAPI than the scoring service.
airflow-env: .venv-airflow/.installed ## Airflow with the providers of deploy/airflow, for its tests; a minute to install

.venv-airflow/.installed: deploy/airflow/requirements-kubernetes.txt
	$(PYTHON) -m venv .venv-airflow
	.venv-airflow/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement $<
	touch $@

test-airflow: install-dev airflow-env ## The tests of the DAGs with Airflow, about five minutes
	$(BIN)/pytest tests/deploy/test_airflow.py

dvc-env: .venv-dvc/.installed ## DVC, for versions of the tables (docs/data_versions.md)

.venv-dvc/.installed: deploy/dvc/requirements.txt
	$(PYTHON) -m venv .venv-dvc
	.venv-dvc/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement $<
	touch $@

gate: install ## Train on the sample with a registry of its own; fails unless the gate promotes
	.ci/gate

package: install-dev ## Wheel and configuration, in dist
	$(BIN)/kedro package

lock: ## Resolve the locks again (needs uv); all have the versions of that for development
	$(COMPILE) --all-extras pyproject.toml --output-file requirements-dev.lock
	cp requirements-dev.lock requirements.lock
	$(COMPILE) pyproject.toml --output-file requirements.lock
	cp requirements-dev.lock requirements-serve.lock
	$(COMPILE) --extra serve --extra redis pyproject.toml --output-file requirements-serve.lock
	cp requirements-dev.lock requirements-gpu.lock
	$(COMPILE) --group gpu --output-file requirements-gpu.lock
	cp requirements-dev.lock deploy/images/job.lock
	$(COMPILE) --extra s3 --extra server --extra redis --extra dask pyproject.toml --output-file deploy/images/job.lock
	cp requirements-dev.lock deploy/images/serve.lock
	$(COMPILE) --group serve-image --overrides deploy/images/serve.overrides --output-file deploy/images/serve.lock
	$(COMPILE) deploy/airflow/requirements-kubernetes.in --output-file deploy/airflow/requirements-kubernetes.txt
	cp deploy/airflow/requirements-kubernetes.txt deploy/airflow/requirements.txt
	$(COMPILE) deploy/airflow/requirements.in --output-file deploy/airflow/requirements.txt
	$(COMPILE) deploy/dvc/requirements.in --output-file deploy/dvc/requirements.txt

clean: ## Remove what runs and checks left behind; raw data, runs and models stay
	rm -rf build dist mutants .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage
	find data/02_intermediate data/03_primary data/04_feature data/05_model_input data/06_models \
		data/07_model_output data/08_reporting -type f ! -name .gitkeep -delete 2>/dev/null || true
