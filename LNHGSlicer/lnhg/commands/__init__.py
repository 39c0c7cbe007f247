"""The commands of the command line, a file each (or a family of them), with an `add(commands)`.

`arguments` are those that several have; `common` adds commands and tells progress and files; `terminal` is what a
terminal may be shown.
"""
