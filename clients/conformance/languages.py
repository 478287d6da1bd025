"""How each client is built, installed into an empty project outside the repository, and run there.

A language is one class: `prepare()` installs the package by the ecosystem's one command, `runner(...)`
is the command line of its conformance runner, `example(...)` that of its example. Everything lands in
`.cache/clients/<language>`; what is unchanged is not built again."""

import fcntl
import hashlib
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CACHE = ROOT / ".cache" / "clients"


class BuildFailed(Exception):
    """A package could not be built or installed; the text is what its tool said."""


def command(words, *, cwd=None, env=None):
    done = subprocess.run([str(word) for word in words], cwd=cwd, env=env, text=True, check=False,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        raise BuildFailed(f"{' '.join(map(str, words))}:\n{done.stdout[-4000:]}")
    return done.stdout


def digest(*paths):
    """Of every source file below `paths`: what decides whether a package is built again."""
    sums = hashlib.sha256()
    for path in paths:
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", str(path)],
            cwd=ROOT, text=True, capture_output=True, check=True).stdout
        for name in sorted(listed.splitlines()):
            file = ROOT / name
            if file.is_file():
                sums.update(name.encode() + b"\0" + file.read_bytes())
    return sums.hexdigest()


class Language:
    name = ""
    # Names of the variants that a run is made of, with the arguments that choose them.
    variants = {"": []}

    def __init__(self):
        self.source = ROOT / "clients" / self.name
        self.project = CACHE / self.name

    def missing(self):
        """The programs that are needed and not there."""
        return [program for program in self.programs if shutil.which(program) is None]

    programs = ()

    def prepare(self):
        """Installs the package and what runs it into an empty project, unless that was done for
        just these sources. The runs of two languages both need Python's: one waits for the other."""
        CACHE.mkdir(parents=True, exist_ok=True)
        with open(CACHE / f"{self.name}.lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            stamp = self.project / "stamp"
            current = digest(self.source, ROOT / "proto", pathlib.Path(__file__))
            if stamp.is_file() and stamp.read_text() == current:
                return
            shutil.rmtree(self.project, ignore_errors=True)
            self.project.mkdir()
            self.install()
            stamp.write_text(current)

    def install(self):
        raise NotImplementedError

    def runner(self, *words):
        raise NotImplementedError

    def example(self, server):
        raise NotImplementedError


class Python(Language):
    name = "python"
    programs = ("python3",)
    variants = {"": [], " (asyncio)": ["--asyncio"]}

    @property
    def interpreter(self):
        return self.project / "venv" / "bin" / "python"

    def install(self):
        command(["python3", "-m", "venv", self.project / "venv"])
        command([self.interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
                 self.source, "jsonschema", "mypy", "types-protobuf"])
        for folder in ("conformance", "examples"):
            shutil.copytree(self.source / folder, self.project / folder)
        # A user's type checker finds nothing untyped.
        command([self.interpreter, "-m", "mypy", "--strict", "examples"], cwd=self.project)

    def runner(self, *words):
        return [self.interpreter, self.project / "conformance" / "runner.py", *words]

    def example(self, server):
        return [self.interpreter, self.project / "examples" / "capture_to_won.py", server]


class TypeScript(Language):
    name = "typescript"
    programs = ("node", "npm")

    def install(self):
        quiet = ["--no-audit", "--no-fund", "--loglevel=error"]
        command(["npm", "ci", "--ignore-scripts", *quiet], cwd=self.source)
        command(["npm", "pack", *quiet, "--pack-destination", self.project], cwd=self.source)
        package = next(self.project.glob("*.tgz"))
        (self.project / "package.json").write_text('{"private": true, "type": "module"}\n')
        command(["npm", "install", *quiet, package, "typescript@7", "@types/node@20"], cwd=self.project)
        for folder in ("conformance", "examples"):
            shutil.copytree(self.source / folder, self.project / folder)
        command(["npx", "--no-install", "tsc", "--strict", "--noUncheckedIndexedAccess",
                 "--target", "ES2022", "--module", "NodeNext", "--types", "node",
                 "--skipLibCheck", "--rootDir", ".", "--outDir", "out",
                 *sorted(str(path.relative_to(self.project)) for folder in ("conformance", "examples")
                         for path in (self.project / folder).glob("*.ts"))], cwd=self.project)

    def runner(self, *words):
        return ["node", self.project / "out" / "conformance" / "runner.js", *words]

    def example(self, server):
        return ["node", self.project / "out" / "examples" / "capture_to_won.js", server]


LANGUAGES = {language.name: language for language in (Python, TypeScript)}
