#compdef pushwire
_pushwire() {
    local -a found
    found=(${(f)"$($words[1] completion next -- "${(@)words[2,CURRENT]}" 2>/dev/null)"})
    if (($#found)); then
        found=("${(@)found//:/\\:}")
        found=("${(@)found/$'\t'/:}")
        _describe pushwire found
    else
        _files
    fi
}
if [[ $funcstack[1] = _pushwire ]]; then _pushwire "$@"; else compdef _pushwire pushwire; fi
