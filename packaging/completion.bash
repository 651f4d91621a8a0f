_pushwire() {
    local IFS=$'\n'
    COMPREPLY=($("$1" completion next -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null |
        cut -f1))
    ((${#COMPREPLY[@]})) || compopt -o default 2>/dev/null
}
complete -F _pushwire pushwire
