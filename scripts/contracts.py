"""A contract of import-linter: rooms are entered through their `__init__` alone."""

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, output


class DoorsContract(Contract):
    """Of another room only packages may be imported, never a file in them; and no file imports a package it lies in.

    A room is a package directly below the root, with all that is in it. Its files import each other directly: by way
    of their own `__init__` they would import themselves.
    """

    type_name = "doors"

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: ARG002
        """Return the imports that go through a wall."""
        [root] = self.session_options["root_packages"]
        faults = []
        for importer in sorted(graph.modules):
            for imported in sorted(graph.find_modules_directly_imported_by(importer)):
                if not imported.startswith(f"{root}.") or not importer.startswith(f"{root}."):
                    continue
                same_room = importer.split(".")[1] == imported.split(".")[1]
                is_package = bool(graph.find_children(imported))
                is_room_file = imported.count(".") == 1 and not is_package
                if same_room and is_package and importer.startswith(f"{imported}."):
                    faults.append((importer, imported, "lies in it; import the file"))
                elif not same_room and not is_package and not is_room_file:
                    faults.append((importer, imported, f"import from {imported.rpartition('.')[0]}"))
        return ContractCheck(kept=not faults, metadata={"faults": faults})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """List the imports, each with what to write in its place."""
        for importer, imported, advice in check.metadata["faults"]:
            output.print_error(f"{importer} imports {imported}: {advice}.")
