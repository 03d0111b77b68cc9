# Thin names for what dev.py does; `python3 dev.py` alone is enough.
PYTHON ?= python3

.PHONY: demo test lint lock catalogues
demo test lint lock catalogues:
	$(PYTHON) dev.py $@
