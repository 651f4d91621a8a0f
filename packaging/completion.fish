function __pushwire
    set -l typed (commandline -opc)
    set -l found ($typed[1] completion next -- $typed[2..] (commandline -ct) 2>/dev/null)
    if count $found >/dev/null
        printf '%s\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c pushwire -f -a '(__pushwire)'
