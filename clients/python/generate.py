"""From protos to Python: messages and stubs by grpcio-tools, their types by mypy-protobuf, and one
typed class a service, synchronous and asyncio, over the thin layer of relais/_call.py."""

import importlib.resources
import pathlib
import re
import tempfile

from google.protobuf import descriptor_pb2 as pb

HEAD = '"""{about}\n\nGenerated from the protos by clients/python/generate.py."""\n\n'


def generate(protos: pathlib.Path, out: pathlib.Path) -> None:
    import google.rpc
    import grpc_tools
    from grpc_tools import protoc

    names = sorted(str(path.relative_to(protos)) for path in protos.glob("relais/v1/*.proto"))
    if not names:
        raise RuntimeError(f"no protos in {protos}")
    bundled = importlib.resources.files(grpc_tools) / "_proto"
    common = pathlib.Path(next(iter(google.rpc.__path__))).parent.parent
    with tempfile.TemporaryDirectory() as folder:
        image = pathlib.Path(folder) / "image"
        code = protoc.main([
            "protoc", f"-I{protos}", f"-I{bundled}", f"-I{common}", f"--python_out={out}",
            f"--grpc_python_out={out}", f"--mypy_out={out}", f"--mypy_grpc_out={out}",
            f"--descriptor_set_out={image}", "--include_imports", "--include_source_info", *names,
        ])
        if code != 0:
            raise RuntimeError(f"protoc failed with {code}")
        files = pb.FileDescriptorSet.FromString(image.read_bytes()).file
    package = out / "relais" / "v1"
    (package / "__init__.py").write_text(messages_module(files), encoding="utf-8")
    (out / "relais" / "_services.py").write_text(services_module(files), encoding="utf-8")


def ours(files):
    return [file for file in files if file.package == "relais.v1"]


def module_of(file):
    return file.name.removeprefix("relais/v1/").removesuffix(".proto") + "_pb2"


def messages_module(files):
    """relais.v1: every message and enum of the contract in one namespace, re-exported for type
    checkers as well."""
    lines = [HEAD.format(about="The messages and enums of the contract, version 1.")]
    for file in ours(files):
        names = [message.name for message in file.message_type]
        for enum in file.enum_type:
            names += [enum.name, *(value.name for value in enum.value)]
        if names:
            lines.append(f"from .{module_of(file)} import (\n")
            lines += [f"    {name} as {name},\n" for name in names]
            lines.append(")\n")
    return "".join(lines)


def snake(name):
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def short(service):
    """LeadService is client.leads, PrivacyService client.privacy."""
    noun = snake(service.removesuffix("Service"))
    plural = {"lead", "opportunity", "import", "event", "account", "segment", "task", "campaign",
              "product", "handoff"}
    if noun not in plural:
        return noun
    return noun.removesuffix("y") + "ies" if noun.endswith("y") else noun + "s"


class Types:
    """Names of types as the generated module writes them."""

    def __init__(self, files):
        self.messages = {}
        for file in files:
            for message in file.message_type:
                self.messages[f".{file.package}.{message.name}"] = (file, message)

    def name(self, full):
        file, message = self.messages[full]
        if file.package == "relais.v1":
            return f"v1.{message.name}"
        raise RuntimeError(f"{full} is no message of relais.v1")

    def page_of(self, method):
        """The repeated field and the type of its items, of a call that answers pages."""
        _, message = self.messages[method.output_type]
        if not any(field.name == "next_page_token" for field in message.field):
            return None
        for field in message.field:
            if field.label == field.LABEL_REPEATED and field.type == field.TYPE_MESSAGE:
                parts = field.type_name.removeprefix(".relais.v1.").split(".")
                return field.name, "v1." + ".".join(parts)
        return None


def comment_of(file, path):
    for location in file.source_code_info.location:
        if list(location.path) == path:
            return " ".join(location.leading_comments.split())
    return ""


def docstring(text, indent):
    return f'{indent}"""{text}"""\n' if text else ""


def services_module(files):
    types = Types(files)
    out = [HEAD.format(about="One class a service: every call of the contract, typed."),
           "from __future__ import annotations\n\n"
           "from collections.abc import AsyncIterator, Iterable, Iterator\n"
           "from typing import Any\n\n"
           "from . import v1\n"
           "from ._call import AsyncCaller, Caller, Method, Trailers\n"]
    services = [(file, index, service) for file in ours(files)
                for index, service in enumerate(file.service)]
    for asynchronous in (False, True):
        for file, index, service in services:
            out.append(service_class(types, file, index, service, asynchronous))
        out.append(client_base([service.name for _, _, service in services], asynchronous))
    return "".join(out)


def service_class(types, file, index, service, asynchronous):
    prefix, caller = ("Async", "AsyncCaller") if asynchronous else ("", "Caller")
    out = [f"\n\nclass {prefix}{service.name}:\n"]
    out.append(docstring(comment_of(file, [6, index]), "    ") + "\n")
    out.append(f"    def __init__(self, caller: {caller}) -> None:\n"
               "        self._caller = caller\n")
    for at, method in enumerate(service.method):
        request, response = types.name(method.input_type), types.name(method.output_type)
        name = snake(method.name)
        text = comment_of(file, [6, index, 2, at])
        path = f"/relais.v1.{service.name}/{method.name}"
        out.append(f"\n    _{name} = Method(\n        {path!r}, {request}, {response}"
                   f"{', streams=True' if method.client_streaming or method.server_streaming else ''})\n\n")
        if method.client_streaming:
            iterator = "AsyncIterator" if asynchronous else "Iterator"
            source = f"AsyncIterator[{request}] | Iterable[{request}]" if asynchronous else f"Iterable[{request}]"
            out.append(f"    def {name}(\n        self, requests: {source}, *, timeout: float | None = None\n"
                       f"    ) -> {iterator}[{response}]:\n" + docstring(text, "        ") +
                       f"        return self._caller.stream_stream(self._{name}, requests, timeout)\n")
        elif method.server_streaming:
            iterator = "AsyncIterator" if asynchronous else "Iterator"
            out.append(f"    def {name}(\n        self, request: {request}, *, timeout: float | None = None\n"
                       f"    ) -> {iterator}[{response}]:\n" + docstring(text, "        ") +
                       f"        return self._caller.unary_stream(self._{name}, request, timeout)\n")
        else:
            define, wait = ("async def", "await ") if asynchronous else ("def", "")
            out.append(f"    {define} {name}(\n        self, request: {request}, *, timeout: float | None = None,\n"
                       f"        trailers: Trailers | None = None,\n    ) -> {response}:\n" +
                       docstring(text, "        ") +
                       f"        return {wait}self._caller.unary(self._{name}, request, timeout, trailers)\n")
        page = types.page_of(method)
        if page is not None:
            out.append(page_methods(name, request, response, page, asynchronous))
    return "".join(out)


def page_methods(name, request, response, page, asynchronous):
    field, item = page
    iterator = "AsyncIterator" if asynchronous else "Iterator"
    each = "async for" if asynchronous else "for"
    define = "async def" if asynchronous else "def"
    return (
        f"\n    def {name}_pages(\n        self, request: {request}, *, timeout: float | None = None\n"
        f"    ) -> {iterator}[{response}]:\n"
        f'        """Every page of {name}, from `request.page_token` on; `timeout` is that of one page."""\n'
        f"        return self._caller.pages(self._{name}, request, timeout)\n"
        f"\n    {define} iterate_{name}(\n        self, request: {request}, *, timeout: float | None = None\n"
        f"    ) -> {iterator}[{item}]:\n"
        f'        """Every item of every page of {name}."""\n'
        f"        {each} page in self.{name}_pages(request, timeout=timeout):\n" +
        (f"            for item in page.{field}:\n                yield item\n" if asynchronous
         else f"            yield from page.{field}\n"))


def client_base(services, asynchronous):
    prefix, caller = ("Async", "AsyncCaller") if asynchronous else ("", "Caller")
    out = [f"\n\nclass {prefix}Services:\n"
           '    """All services of one connection."""\n\n'
           f"    def __init__(self, caller: {caller}) -> None:\n"]
    out += [f"        self.{short(name)} = {prefix}{name}(caller)\n" for name in services]
    if not asynchronous:
        out.append("\n\nMETHODS: dict[str, Method[Any, Any]] = {\n    method.path.removeprefix(\"/relais.v1.\"): method\n"
                   "    for service in (" + ", ".join(services) + ",)\n"
                   "    for method in vars(service).values()\n    if isinstance(method, Method)\n}\n")
    return "".join(out)
