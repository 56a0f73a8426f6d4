
# Bash splits the line at the characters of COMP_WORDBREAKS, so opencl:0.0 and --model=resnet20 are three words each. The
# functions above need whole words, and Bash expects only what follows the last such character.

# Adds the completions that compgen finds. Only names of files are quoted, and marked if they are folders: a value stays as it
# is if a folder has the same name.
__resnet_add_completions() {
    local completion
    local -a found=()
    while IFS='' read -r completion; do
        found+=("${completion}")
    done < <(IFS=$'\n' compgen "${@}" -- "${cur}")
    [[ "${1}" == -W && "${found[*]}" != */* ]] || compopt -o filenames
    COMPREPLY+=("${found[@]}")
}

# Completes the word before the cursor with whole words.
_resnet_joined() {
    local rest="${COMP_LINE:0:COMP_POINT}" piece blank
    local -a words=()
    local -i index
    for ((index = 0; index <= COMP_CWORD; index++)); do
        blank="${rest%%[![:space:]]*}"
        rest="${rest#"${blank}"}"
        piece="${COMP_WORDS[index]}"
        ((index < COMP_CWORD)) || piece="${rest}"
        rest="${rest#"${piece}"}"
        if [[ -z "${blank}" && "${index}" -gt 0 ]]; then
            words[-1]+="${piece}"
        else
            words+=("${piece}")
        fi
    done

    local -r typed="${words[-1]}"
    local option=''
    if [[ "${typed}" == --*=* ]]; then
        option="${typed%%=*}="
        words[-1]="${typed%%=*}"
        words+=("${typed#*=}")
    fi
    if [[ "${typed}" == *[\"\'\\]* ]]; then
        # Bash joins quoted words itself.
        _resnet "${@}"
    else
        local -a COMP_WORDS=("${words[@]}")
        local -i COMP_CWORD="${#words[@]}-1"
        local COMP_LINE="${words[*]}"
        local -i COMP_POINT="${#COMP_LINE}"
        _resnet resnet "${words[-1]}" "${words[-2]}"
        # Part of the word that Bash keeps.
        local kept="${typed}"
        while [[ -n "${kept}" && "${COMP_WORDBREAKS}" != *"${kept: -1}"* ]]; do kept="${kept%?}"; done
        COMPREPLY=("${COMPREPLY[@]/#/${option}}")
        COMPREPLY=("${COMPREPLY[@]#"${kept}"}")
    fi
    # The functions above leave a trap, which would set the user's shell options after each script that is sourced.
    trap - RETURN
}

complete -F _resnet_joined resnet
