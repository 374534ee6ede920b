"""Finds the checks and syncs in the code, and makes each one removable at run time."""

import re

# What makes an error, other than one of the system's.
ERRORS = {
    "Aborted", "AmbiguousPrefix", "Conflict", "ContentFault", "ChildrenFault", "DamagedRow",
    "DataLoss", "Differs", "Fail", "FailedPrecondition", "Footer", "Internal", "InvalidArgument",
    "NeitherCopy", "NotAFile", "NotFound", "NotRegular", "OtherMount", "Refuse", "Report",
    "ResourceExhausted", "Unauthenticated", "Unavailable", "Unimplemented", "UnknownFlags",
    "UnknownVersion", "Unreadable", "failure", "refuse", "wrong",
}
BODY = re.compile(r"\s*\{?\s*(?:return\s+)?(?:std::move\(|\w+(?:\.|->))*(\w+)\((?!\))")
CHECKED_SYNC = re.compile(r"RETURN_IF_ERROR\((?=[^;]*(?:\.|->|(?<=ERROR\())Sync\w*\()")
LAST_SYNC = re.compile(r"\breturn (?=[^;]*(?:\.|->)Sync\w*\()([^;]*);")
# An error that is passed on is no check.
PASSED_ON = re.compile(r"\s*!?[\w.\->*]*ok\(\)\s*$|[^&|]*\bcode\(\) [!=]= StatusCode::\w+\s*$")
# `if (const char* fault = Fault())`
DECLARED = re.compile(r"\s*(?:const )?[\w:<>]+[ *&]+(\w+) = ")


class Mutant:
    """A check or a sync that can be taken out. Its name stays while the code around it changes."""

    def __init__(self, number, kind, file, line, text, before):
        self.number, self.kind, self.file, self.line = number, kind, file, line
        again = f" ({before + 1})" if before else ""
        self.name = f"{file}: {text}{again}"


def end_of_group(source, start):
    """The place behind the parenthesis that closes the one at `start`."""
    depth, i = 0, start
    while i < len(source):
        c = source[i]
        if c in "\"'" and not source[i - 1].isdigit():  # not the one in 10'000
            i += 1
            while source[i] != c:
                i += 2 if source[i] == "\\" else 1
        elif source.startswith("//", i):
            i = source.index("\n", i)
        elif c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
            if depth == 0:
                return i + 1
        i += 1
    raise ValueError("no closing parenthesis")


def last_part(condition):
    """Where the condition itself begins, behind `if (init; `."""
    depth, at = 0, 0
    for i, c in enumerate(condition):
        depth += (c in "([{") - (c in ")]}")
        if c == ";" and depth == 0:
            at = i + 1
    return at


def rewrite(file, source, mutants):
    """The source in which each check asks whether it is there, and each sync; adds to `mutants`."""
    edits, texts = [], []

    def add(kind, at, text):
        text = " ".join(text.split())
        before = texts.count(text)
        texts.append(text)
        line = source.count("\n", 0, at) + 1
        mutants.append(Mutant(len(mutants), kind, file, line, text, before))
        return len(mutants) - 1

    for found in re.finditer(r"\bif (?=\()", source):
        begin = found.end()
        end = end_of_group(source, begin)
        body = BODY.match(source, end)
        if not body or body[1] not in ERRORS:
            continue
        inner = source[begin + 1:end - 1]
        cut = last_part(inner)
        if PASSED_ON.match(inner[cut:]):
            continue
        number = add("check", found.start(), inner[cut:])
        before, asked = inner[:cut], inner[cut:]
        if declared := DECLARED.match(asked):
            before, asked = f"{asked};", declared[1]
        edits.append((begin, end, f"({before} ({asked}) && !CairnMutant({number}))"))
    for found in CHECKED_SYNC.finditer(source):
        open_at = found.end() - 1
        end = end_of_group(source, open_at)
        number = add("sync", found.start(), source[open_at + 1:end - 1])
        edits.append((found.start(), end, f"if (!CairnMutant({number})) {source[found.start():end]}"))
    for found in LAST_SYNC.finditer(source):
        number = add("sync", found.start(), found[1])
        edits.append((found.start(), found.end(),
                      f"return CairnMutant({number}) ? ::cairn::OkStatus() : {found[1]};"))
    for begin, end, text in sorted(edits, reverse=True):
        source = source[:begin] + text + source[end:]
    return source
