#!/usr/bin/env python3
"""What the code weighs: a few figures of a checkout, as one table.

    deploy/tools/figures.py [FOLDER ...]      one column for each folder; this checkout by default
    deploy/tools/figures.py --detail FOLDER   and what is behind the figures, place by place

The figures serve the reader: where one would make the code worse, the code is right. What is counted:

source lines    lines of `proto/build.rs`, `proto/src` and `services/*/src` without `kit::testing` and
                without unit tests (`#[cfg(test)] mod … { … }`). Other rows count `kit::testing`, too.
code lines      source lines that hold a token: neither blank nor only comment.
characters      of a code line, without its indentation; a comment behind code counts.
closures        `|…| …` in code, for each 100 code lines; and for each 10,000 tokens, which does not
                depend on the width.
inline comments lines that hold a `//` or `/* */` that is no doc comment, of all source lines.
shared names    struct, enum, union, trait and type definitions whose name another one of the
                workspace has. The row below leaves out what a library or a trait wants to be called
                so: `Model`, `Entity`, `Relation`, …, and associated types.
create to mail  `figures-journey.txt` beside this script lists the files one reads to follow a sign-up
                to its mail; of each checkout its own list is counted, and what it lacks is named.
test harness    files of `services/*/tests` and of `kit::testing` that start and drive services: no
                test stands in them, and they are not one of the STAND_INS below.
functions       from `fn` to the closing brace, in lines and in tokens; those with a body.
tokens          identifiers, literals, lifetimes, and punctuation character by character.
import circles  groups of modules of one crate that name each other in a circle; a name that a parent
                re-exports counts as its child's. A parent and its own children are no circle.
unused          dependencies that no source of their crate names, as `cargo machete` looks for them; those
                that generated code names are listed under `package.metadata.cargo-machete`.
"""

import collections
import json
import re
import statistics
import sys
import tomllib
from pathlib import Path

# ------------------------------------------------------------------------------------------- lexing

Token = collections.namedtuple("Token", "kind text start end line last_line")
# kinds: comment, doc, string, char, lifetime, number, name, punctuation

IDENTIFIER = re.compile(r"(?:r#)?[^\W\d]\w*")
NUMBER = re.compile(r"\d[\w]*(?:\.\d[\w]*)?(?:(?<=[eE])[+-]\d[\d_]*)?")
STRING_BEGIN = re.compile(r'(?:[bc]?r(#*)|[bc]?)"')
CHARACTER = re.compile(r"b?'(?:\\(?:x[0-9a-fA-F]{2}|u\{[0-9a-fA-F_]+\}|.)|[^\\'\n])'", re.S)
LIFETIME = re.compile(r"'[^\W\d]\w*")


def lex(text):
    """Every token of Rust source, comments included; white space is what lies between them."""
    tokens, at, line = [], 0, 1
    size = len(text)
    while at < size:
        here = text[at]
        if here in " \t\r\n":
            line += here == "\n"
            at += 1
            continue
        start = at
        if text.startswith("//", at):
            end = text.find("\n", at)
            at = size if end < 0 else end
            doc = text.startswith(("///", "//!"), start) and not text.startswith("////", start)
            kind = "doc" if doc else "comment"
        elif text.startswith("/*", at):
            depth, at = 1, at + 2
            while at < size and depth:
                if text.startswith("/*", at):
                    depth, at = depth + 1, at + 2
                elif text.startswith("*/", at):
                    depth, at = depth - 1, at + 2
                else:
                    at += 1
            plain = text.startswith(("/***", "/**/"), start)
            doc = text.startswith(("/**", "/*!"), start) and not plain
            kind = "doc" if doc else "comment"
        elif match := STRING_BEGIN.match(text, at):
            at = match.end()
            if match.group(1) is not None:  # raw: ends at a quote with as many #
                end_mark = '"' + match.group(1)
                end = text.find(end_mark, at)
                at = size if end < 0 else end + len(end_mark)
            else:
                while at < size and text[at] != '"':
                    at += 2 if text[at] == "\\" else 1
                at += 1
            kind = "string"
        elif match := CHARACTER.match(text, at):
            at, kind = match.end(), "char"
        elif match := LIFETIME.match(text, at):
            at, kind = match.end(), "lifetime"
        elif match := IDENTIFIER.match(text, at):
            at, kind = match.end(), "name"
        elif match := NUMBER.match(text, at):
            at, kind = match.end(), "number"
        else:
            at, kind = at + 1, "punctuation"
        first = line
        line += text.count("\n", start, at)
        tokens.append(Token(kind, text[start:at], start, at, first, line))
    return tokens


def is_code(token):
    return token.kind not in ("comment", "doc")


# ---------------------------------------------------------------------------------- reading one file


KINDS = ("struct", "enum", "union", "trait", "type")


class File:
    """One source file without its unit tests."""

    def __init__(self, path, text):
        self.path = path
        tokens = lex(text)
        cut = test_modules(tokens)
        self.tokens = [
            token for token in tokens if not any(begin <= token.start < end for begin, end in cut)
        ]
        gone = set()
        for a, b in cut:
            gone.update(range(text.count("\n", 0, a) + 1, text.count("\n", 0, b) + 2))
        numbered = enumerate(text.split("\n"), 1)
        self.lines = {number: line for number, line in numbered if number not in gone}
        if self.lines and not self.lines.get(max(self.lines), "x"):
            del self.lines[max(self.lines)]  # what follows the last line end is no line
        code = [token for token in self.tokens if is_code(token)]
        self.code = code
        self.code_lines = {n for n in lines_of(code) if self.lines.get(n, "").strip()}
        self.comment_lines = lines_of(token for token in self.tokens if token.kind == "comment")
        self.doc_lines = lines_of(token for token in self.tokens if token.kind == "doc")

    def characters(self):
        return sum(len(self.lines[number].strip()) for number in self.code_lines)

    def closures(self):
        return sum(1 for _ in closures(self.code))

    def functions(self):
        return list(functions(self.code))

    def types(self):
        for here, following in zip(self.code, self.code[1:]):
            if here.text in KINDS and following.kind == "name":
                yield here, following.text


def lines_of(tokens):
    return {number for token in tokens for number in range(token.line, token.last_line + 1)}


def test_modules(tokens):
    """The spans of `#[cfg(test)] mod name { … }`."""
    code = [token for token in tokens if is_code(token)]
    spans = []
    for at in range(len(code) - 8):
        texts = [token.text for token in code[at : at + 9]]
        if texts[:8] == ["#", "[", "cfg", "(", "test", ")", "]", "mod"]:
            opening = at + 9
            if opening < len(code) and code[opening].text == "{":
                spans.append((code[at].start, code[closing(code, opening)].end))
    return spans


def closing(code, opening):
    depth = 0
    for at in range(opening, len(code)):
        if code[at].text in "([{" and code[at].kind == "punctuation":
            depth += 1
        elif code[at].text in ")]}" and code[at].kind == "punctuation":
            depth -= 1
            if depth == 0:
                return at
    return len(code) - 1


# A `|` opens a closure where an expression begins. Behind a value it is an operator, or separates patterns.
BEFORE = {"(", ",", "=", "{", "}", ";", ":", "[", "&"}
BEFORE_WORDS = {"move", "async", "return", "else", "in", "break", "static"}


def closures(code):
    skip = 0
    for at, token in enumerate(code):
        if at < skip or token.text != "|":
            continue
        double = at + 1 < len(code) and code[at + 1].text == "|" and code[at + 1].start == token.end
        before = code[at - 1].text if at else "{"
        arrow = before == ">" and code[at - 2].text == "="
        if not (before in BEFORE or before in BEFORE_WORDS or arrow):
            skip = at + (2 if double else 1)
            continue
        end = at + 1
        while end < len(code) and code[end].text != "|":
            if code[end].text in "([{" and code[end].kind == "punctuation":
                end = closing(code, end)
            end += 1
        skip = end + 1
        yield token


def functions(code):
    """(name, lines, tokens) of each function with a body."""
    for at, token in enumerate(code):
        if token.text != "fn" or token.kind != "name":
            continue
        if at + 1 >= len(code) or code[at + 1].kind != "name":
            continue  # a function pointer's type
        depth, here = 0, at + 2
        while here < len(code):
            text, kind = code[here].text, code[here].kind
            if kind == "punctuation":
                if text in "([":
                    depth += 1
                elif text in ")]":
                    depth -= 1
                elif depth == 0 and text in "{;":
                    break
            here += 1
        if here >= len(code) or code[here].text == ";":
            continue
        end = closing(code, here)
        yield code[at + 1].text, code[end].last_line - token.line + 1, end - at + 1


# -------------------------------------------------------------------------------------- import circles


def module_of(path, source):
    parts = list(path.relative_to(source).with_suffix("").parts)
    if parts and parts[-1] in ("lib", "main", "mod"):
        parts.pop()
    return tuple(parts)


def named_paths(code, module):
    """Every path that begins with `crate`, `self` or `super`, as a path from the crate's root."""
    at = 0
    while at < len(code):
        if code[at].kind == "name" and code[at].text in ("crate", "self", "super"):
            follows = at + 2 < len(code) and code[at + 1].text == ":" and code[at + 2].text == ":"
            before = code[at - 1].text if at else ""
            if follows and before != ":":
                if code[at].text == "crate":
                    base = ()
                elif code[at].text == "self":
                    base = module
                else:
                    base = module[:-1]
                yield from _tree(code, at + 3, base)[0]
        at += 1


def _tree(code, at, base):
    """What follows `prefix::`: a name, a path, or a group of them; and where that ends."""
    paths = []
    if at < len(code) and code[at].text == "{":
        end = closing(code, at)
        at += 1
        while at < end:
            found, at = _tree(code, at, base)
            paths.extend(found)
            while at < end and code[at].text != ",":
                at += 1
            at += 1
        return paths, end + 1
    if at < len(code) and code[at].kind == "name":
        name = code[at].text
        if name == "super":
            here = base[:-1]
        elif name == "self":
            here = base
        else:
            here = base + (name,)
        if at + 2 < len(code) and code[at + 1].text == ":" and code[at + 2].text == ":":
            return _tree(code, at + 3, here)
        return [here], at + 1
    return [base], at + 1


def circles(files, source):
    """Groups of modules that name each other in a circle."""
    modules = {module_of(file.path, source): file for file in files}
    edges = collections.defaultdict(set)
    exports = {module: reexports(file, module) for module, file in modules.items()}
    for module, file in modules.items():
        for path in named_paths(file.code, module):
            target = resolve(path, modules, exports)
            if target is not None and target != module:
                edges[module].add(target)
    # A parent that calls its child and a child that uses its parent's types are one room; a circle
    # is between rooms. So an edge counts between the outermost ancestors in which two modules differ.
    rooms = collections.defaultdict(set)
    for origin, targets in edges.items():
        for target in targets:
            shared = 0
            while shared < min(len(origin), len(target)) and origin[shared] == target[shared]:
                shared += 1
            if shared == len(origin) or shared == len(target):
                continue
            rooms[origin[: shared + 1]].add(target[: shared + 1])
    groups = [group for group in components(rooms) if len(group) > 1]
    return [sorted("::".join(module) for module in group) for group in groups]


def reexports(file, module):
    """`pub use self::child::Name` and the like: who asks the parent for `Name` means the child."""
    known, at = {}, 0
    code = file.code
    while at < len(code):
        if code[at].text == "use" and at and (code[at - 1].text == "pub" or code[at - 1].text == ")"):
            end = at
            while end < len(code) and code[end].text != ";":
                end += 1
            first = code[at + 1].text
            if first in ("self", "super", "crate"):
                paths = list(named_paths(code[at + 1 : end], module))
            else:
                paths = _tree(code[:end], at + 1, module)[0]
            for path in paths:
                if path:
                    known[path[-1]] = path
            at = end
        at += 1
    return known


def resolve(path, modules, exports, depth=0):
    """The module that a path leads to: the longest that is a file, or whose name it re-exports."""
    for size in range(len(path), -1, -1):
        if path[:size] in modules:
            found, rest = path[:size], path[size:]
            known = exports[found].get(rest[0]) if rest else None
            if known and known != path and depth < 4:
                return resolve(known + rest[1:], modules, exports, depth + 1)
            return found if found else None
    return None


def components(edges):
    """Tarjan's strongly connected components."""
    index, low, stack, on, found = {}, {}, [], set(), []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        on.add(node)
        for target in edges.get(node, ()):
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in on:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            group = []
            while True:
                last = stack.pop()
                on.discard(last)
                group.append(last)
                if last == node:
                    break
            found.append(group)

    for node in list(edges):
        if node not in index:
            visit(node)
    return found


# ---------------------------------------------------------------------------------------- one checkout

# What SeaORM and its migrations want each table's types to be called.
LIBRARY_NAMES = {"Model", "Entity", "Column", "Relation", "ActiveModel", "Migration", "Migrator"}
# Real servers and imitations that tests talk to, and what records or compares: no harness.
STAND_INS = {
    "eventually", "mailer", "nats", "otlp", "postgres", "proxy", "recorded", "scenarios", "smtp", "testing",
}
# Where a dependency of each table is to be named.
DEPENDENCIES = {
    "dependencies": ["src/**/*.rs"],
    "dev-dependencies": ["src/**/*.rs", "tests/**/*.rs", "benches/**/*.rs"],
    "build-dependencies": ["build.rs"],
}
TEST = re.compile(r"#\[(?:tokio::)?test\b")


class Checkout:
    def __init__(self, root):
        self.root = Path(root).resolve()
        self.crates = {}
        if not (self.root / "services").is_dir():
            sys.exit(f"figures.py: {root} is no checkout of Usher: it has no folder `services`.")
        for folder in [self.root / "proto", *sorted((self.root / "services").iterdir())]:
            source = folder / "src"
            if source.is_dir():
                files = [read(path) for path in sorted(source.rglob("*.rs"))]
                self.crates[folder.name] = (source, files)
        build = self.root / "proto/build.rs"
        self.files = [file for _, files in self.crates.values() for file in files]
        if build.is_file():
            self.files.append(read(build))

    def rows(self):
        files = self.files
        lines = sum(len(file.lines) for file in files)
        testing = sum(len(file.lines) for file in files if is_testing(file.path))
        code_lines = sum(len(file.code_lines) for file in files)
        tokens = sum(len(file.code) for file in files)
        characters = sum(file.characters() for file in files)
        closures_found = sum(file.closures() for file in files)
        functions_found = [function for file in files for function in file.functions()]
        comments = sum(len(file.comment_lines) for file in files)
        docs = sum(len(file.doc_lines) for file in files)
        harness = sum(count for _, count in self.harness())
        by_lines = quantiles(length for _, length, _ in functions_found)
        by_tokens = quantiles(size for _, _, size in functions_found)
        return [
            ("source lines", f"{lines - testing} (and {testing} of kit::testing)"),
            ("code lines", f"{code_lines}"),
            ("tokens", f"{tokens}"),
            ("tokens a code line", f"{tokens / code_lines:.1f}"),
            ("characters a code line", f"{characters / code_lines:.1f}"),
            ("closures / 100 code lines", f"{100 * closures_found / code_lines:.1f}"),
            ("closures / 10,000 tokens", f"{10000 * closures_found / tokens:.0f}"),
            ("inline comments, % of lines", f"{100 * comments / lines:.1f}"),
            ("doc comments, % of lines", f"{100 * docs / lines:.1f}"),
            ("types that share their name", self.shared(files, every=True)),
            ("… where no library or trait gave it", self.shared(files)),
            ("… with one of their own crate", self.shared_within()),
            ("files from create to mail", self.journey()),
            ("test harness lines", f"{harness}"),
            ("functions", f"{len(functions_found)}"),
            ("function median / p90 / max, lines", by_lines),
            ("function median / p90 / max, tokens", by_tokens),
            ("files", f"{len(files)}"),
            ("file median / p90 / max, lines", quantiles(len(file.lines) for file in files)),
            ("import circles", f"{len(self.circles())}"),
            ("unused dependencies", f"{len(self.unused())}"),
        ]

    @staticmethod
    def shared(files, every=False):
        places = names(files, every).values()
        total = sum(map(len, places))
        shared = sum(len(place) for place in places if len(place) > 1)
        return f"{100 * shared / total:.0f} % ({shared} of {total})"

    def shared_within(self):
        each = [names(files).values() for _, files in self.crates.values()]
        lengths = [len(places) for of_crate in each for places in of_crate]
        return str(sum(length for length in lengths if length > 1))

    def circles(self):
        return [
            (crate, group)
            for crate, (source, files) in self.crates.items()
            for group in circles(files, source)
        ]

    def harness(self):
        """(file, lines) of each."""
        found = []
        for path in sorted(self.root.glob("services/*/tests/service/**/*.rs")):
            text = path.read_text()
            if path.stem not in STAND_INS | {"main"} and not TEST.search(text):
                found.append((path, text.count("\n")))
        folder = self.root / "services/kit/src/testing"
        for path in sorted(folder.rglob("*.rs")):
            if path.relative_to(folder).parts[0].removesuffix(".rs") not in STAND_INS:
                found.append((path, path.read_text().count("\n")))
        return found

    def journey(self):
        listed = self.root / "deploy/tools/figures-journey.txt"
        if not listed.is_file():
            return "no list"
        files = [line for line in listed.read_text().split("\n") if line and not line.startswith("#")]
        if not files:
            return "the list is empty"
        missing = [file for file in files if not (self.root / file).is_file()]
        if missing:
            return f"{len(files)}, but these are gone: {', '.join(missing)}"
        return f"{len(files)}"

    def unused(self):
        """(crate, dependency) of each that no source of its crate names."""
        found = []
        for folder in (source.parent for source, _ in self.crates.values()):
            manifest = tomllib.loads((folder / "Cargo.toml").read_text())
            metadata = manifest["package"].get("metadata", {})
            ignored = metadata.get("cargo-machete", {}).get("ignored", [])
            for table, places in DEPENDENCIES.items():
                texts = [path.read_text() for place in places for path in folder.glob(place)]
                named = {token.text for text in texts for token in lex(text) if is_code(token)}
                for name in manifest.get(table, {}):
                    if name.replace("-", "_") not in named and name not in ignored:
                        found.append((folder.relative_to(self.root), name))
        return found

    def detail(self):
        for crate, group in self.circles():
            print(f"circle in {crate}: {' · '.join(group)}")
        for folder, name in self.unused():
            print(f"unused: {name} of {folder}")
        for path, lines in self.harness():
            print(f"test harness: {path.relative_to(self.root)}, {lines} lines")
        for crate, (_, files) in self.crates.items():
            self.show_shared(f"twice in {crate}", names(files))
        self.show_shared("shared", names(self.files))
        longest = [
            (length, size, name, file.path)
            for file in self.files
            for name, length, size in file.functions()
        ]
        for length, size, name, path in sorted(longest, reverse=True)[:20]:
            print(f"function of {length} lines, {size} tokens: {name} in {path.relative_to(self.root)}")

    def show_shared(self, how, names_found):
        for name, places in sorted(names_found.items(), key=lambda item: -len(item[1])):
            if len(places) > 1:
                shown = [f"{path.relative_to(self.root)}:{line}" for path, line in places]
                print(f"{how}: {name}, {', '.join(shown)}")


def names(files, every=False):
    """Where each name is given to a type; `every` with those that a library or a trait asks for."""
    found = collections.defaultdict(list)
    for file in files:
        for keyword, name in file.types():
            # An associated `type` is indented, for modules are files here.
            asked_for = name in LIBRARY_NAMES or (
                keyword.text == "type" and file.lines[keyword.line].startswith(" ")
            )
            if every or not asked_for:
                found[name].append((file.path, keyword.line))
    return found


def is_testing(path):
    return "/kit/src/testing" in path.as_posix()


def read(path):
    return File(path, path.read_text())


def quantiles(values):
    values = sorted(values)
    p90 = values[min(len(values) - 1, int(len(values) * 0.9))]
    return f"{statistics.median_low(values)} / {p90} / {values[-1]}"


def main(arguments):
    detail = "--detail" in arguments
    as_json = "--json" in arguments
    if "--help" in arguments or "-h" in arguments:
        print(__doc__)
        return
    folders = [argument for argument in arguments if not argument.startswith("--")]
    folders = folders or [Path(__file__).parent / "../.."]
    checkouts = [Checkout(folder) for folder in folders]
    columns = [checkout.rows() for checkout in checkouts]
    if as_json:
        table = {str(checkout.root): dict(rows) for checkout, rows in zip(checkouts, columns)}
        print(json.dumps(table, indent=2))
        return
    print("| | " + " | ".join(checkout.root.name for checkout in checkouts) + " |")
    print("|---|" + "---|" * len(checkouts))
    for rows in zip(*columns):
        print(f"| {rows[0][0]} | " + " | ".join(value for _, value in rows) + " |")
    if detail:
        for checkout in checkouts:
            print()
            checkout.detail()


if __name__ == "__main__":
    main(sys.argv[1:])
