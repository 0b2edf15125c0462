# People and CI run the same targets. Packages that are missing are installed
# with apt, as root or with sudo; packaging/needs.txt lists them with reasons.
.PHONY: help run test check bench deb clean needs environments

BENCH ?= short
# A private Postfix needs root, for its ports and its loopback address.
AS_ROOT := $(if $(filter 0,$(shell id -u)),,sudo)

help:
	@echo "make run      a private Postfix drifts and is corrected, in front of you"
	@echo "make test     every test, in tiers, with a summary"
	@echo "make check    ruff, mypy and shellcheck only"
	@echo "make bench    the figures (BENCH=short or full)"
	@echo "make deb      the Debian package, into build/deb"
	@echo "make clean    remove what the other targets made"

run:
	@bash packaging/install-needs.sh run build
	@bash tests/environment.sh debian .venv-debian
	@$(AS_ROOT) env PYTHONPATH=tests/bed .venv-debian/bin/python tests/bed/demonstration.py

test: environments
	@bash tests/run-tiers.sh

check: environments
	@bash tests/run-tiers.sh check

bench: environments
	@$(AS_ROOT) .venv-debian/bin/python tests/bench/run.py $(BENCH)

deb:
	@bash packaging/install-needs.sh build package
	@bash packaging/build-deb.sh

# The environment with today's releases needs PyPI; without it its tiers say so.
environments: needs
	@bash tests/environment.sh debian .venv-debian
	@bash tests/environment.sh today .venv || echo "no environment with today's releases"

needs:
	@bash packaging/install-needs.sh run build test package tiers
	@bash packaging/unpack-needs.sh collectors build/collectors || echo "no rsyslog and syslog-ng for tests"
	@bash packaging/unpack-needs.sh prometheus build/prometheus || echo "no promtool for tests"
	@bash packaging/unpack-needs.sh renewal build/renewal || echo "no certbot, lego and pebble for tests"
	@bash packaging/unpack-needs.sh resolver build/resolver || echo "no unbound for tests"

clean:
	@rm -rf .venv .venv-debian build || sudo rm -rf .venv .venv-debian build
