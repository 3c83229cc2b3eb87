# SPDX-License-Identifier: GPL-2.0-only
# bash completion for hvdrv: the words come from the program itself
_hvdrv() {
    local cur=${COMP_WORDS[COMP_CWORD]} cmd=${COMP_WORDS[1]}
    if [[ $COMP_CWORD -eq 1 ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(hvdrv complete --)" -- "$cur")
    elif [[ ${COMP_WORDS[COMP_CWORD - 1]} == --path ]]; then
        mapfile -t COMPREPLY < <(compgen -W "auto pool copy direct" -- "$cur")
    elif [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(hvdrv complete -- "$cmd")" -- "$cur")
    elif [[ $COMP_CWORD -eq 2 ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(xl list 2>/dev/null | awk 'NR > 2 { print $1 }')" -- "$cur")
    elif [[ $COMP_CWORD -eq 3 && $cmd != attach ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(hvdrv list "${COMP_WORDS[2]}" 2>/dev/null | awk 'NR > 1 { print $3 }')" -- "$cur")
    elif [[ $COMP_CWORD -eq 4 && $cmd == retarget ]]; then
        mapfile -t COMPREPLY < <(compgen -W "virtual paravirtual auto" -- "$cur")
    elif [[ $COMP_CWORD -eq 4 && $cmd == attach ]]; then
        compopt -o nospace
        mapfile -t COMPREPLY < <(compgen -W "class=block,backend=/" -- "$cur")
    fi
}
complete -F _hvdrv hvdrv
