# Sourced by the scripts beside it: where we are, how we tell, how a build folder comes about.
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit
script=scripts/$(basename "$0")

# Debian's own: it sees the Python packages that apt brings, another one in PATH may not.
python=/usr/bin/python3

say() { printf '%s: %s\n' "$script" "$*" >&2; }
die() { say "$@" && exit 1; }

# Runs a command and keeps what it says to itself unless it fails.
quietly() {
    local output status=0
    output=$("$@" 2>&1) || status=$?
    ((status == 0)) || printf '%s\n' "$output" >&2
    return $status
}

# configure FOLDER OPTION...: makes a build folder, or brings one that is there to these options. The
# server carries what scripts/frontend has built.
configure() {
    local folder=$1
    shift
    [[ ! -f build-frontend/index.html ]] || set -- "$@" -Dfrontend=build-frontend
    if [[ ! -f $folder/build.ninja ]]; then
        say "setting up $folder"
        quietly meson setup "$folder" "$@"
    elif [[ $* != "$(cat "$folder/.options" 2>/dev/null)" ]]; then
        quietly meson setup --reconfigure "$folder" "$@"
    fi && echo "$*" >"$folder/.options"
}

# build FOLDER [TARGET...]: says nothing where there is nothing to do.
build() {
    local folder=$1
    shift
    if ! ninja -C "$folder" -n "$@" | grep -q 'no work to do'; then
        say "building $folder"
        ninja -C "$folder" --quiet "$@"
    fi
}

# packages FOLDER [OPTION...]: brings its node_modules to what its lock file says.
packages() {
    [[ $1/node_modules/.package-lock.json -nt $1/package-lock.json ]] && return
    say "getting the packages of $1"
    quietly npm --prefix "$1" ci --no-audit --no-fund "${@:2}"
}
