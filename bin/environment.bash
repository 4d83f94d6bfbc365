# Sourced by the other scripts: prepare_environment EXTRA sets $python to a Python that has the package.
#
# That is the active virtual environment, else .venv in the checkout, which is made if it is not there (with the Python
# that $PYTHON names, 3.11 or newer; default: the first one found). What is installed already is not installed again.

find_python() {
    local candidate
    for candidate in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
        if command -v "$candidate" >/dev/null &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "$0: needs Python 3.11 or newer; name one in PYTHON" >&2
    return 1
}

prepare_environment() {
    local extra=$1 found stamp
    if [ -n "${VIRTUAL_ENV:-}" ]; then
        python=$VIRTUAL_ENV/bin/python
    else
        python=$PWD/.venv/bin/python
        if ! [ -x "$python" ]; then
            found=$(find_python)
            "$found" -m venv .venv
        fi
    fi
    # Installed once, and again when the requirements change.
    stamp=$("$python" -c 'import sys; print(sys.prefix)')/.legacypipe_lite-$extra
    if ! [ -e "$stamp" ] || ! cmp -s pyproject.toml "$stamp"; then
        "$python" -m pip install --quiet --editable ".[$extra]"
        cp pyproject.toml "$stamp"
    fi
}
