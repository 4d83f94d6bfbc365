# Sourced by the other scripts. Both functions use the active virtual environment, else .venv in the checkout.
#
# prepare_environment EXTRA, in the root of the checkout, sets $python to a Python that has the package. It makes .venv
# if there is none (with the Python that $PYTHON names, 3.11 or newer; default: the first one found). What is installed
# already is not installed again.
#
# run_module MODULE [ARGUMENTS] becomes `python -m MODULE ARGUMENTS`, with the package of this checkout.

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

find_environment() {
    python=${VIRTUAL_ENV:-$checkout/.venv}/bin/python
}

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
    find_environment
    if [ -z "${VIRTUAL_ENV:-}" ] && ! [ -x "$python" ]; then
        found=$(find_python)
        "$found" -m venv "$checkout/.venv"
    fi
    # Installed once, and again when the requirements change.
    stamp=$("$python" -c 'import sys; print(sys.prefix)')/.legacypipe_lite-$extra
    if ! [ -e "$stamp" ] || ! cmp -s pyproject.toml "$stamp"; then
        "$python" -m pip install --quiet --editable ".[$extra]"
        cp pyproject.toml "$stamp"
    fi
}

run_module() {
    find_environment
    if ! [ -x "$python" ]; then
        if [ -n "${VIRTUAL_ENV:-}" ]; then
            echo "$0: the active virtual environment has no $python; run 'deactivate', or activate another" >&2
        else
            echo "$0: no virtual environment is active, and there is no $checkout/.venv, which bin/quickstart makes" >&2
        fi
        return 1
    fi
    export PYTHONPATH="$checkout${PYTHONPATH:+:$PYTHONPATH}"
    exec "$python" -m "$@"
}
