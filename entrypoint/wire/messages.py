# SPDX-License-Identifier: Apache-2.0
"""The one table of field numbers.

Notation, as in protobuf's descriptors: `number name:type`, `*` repeated, `?name` a member of that
oneof, `map<string,T>`, `enum` for any enumeration (its number is the value). A type that is no
scalar is another row of the table. Each row is parsed when a message of its kind is first met.
"""

from __future__ import annotations

MESSAGES = {
    # flyteidl.core.literals
    "LiteralMap": "1 literals:map<string,Literal>",
    "LiteralCollection": "1 literals:Literal*",
    "Literal": (
        "1 scalar:Scalar?value, 2 collection:LiteralCollection?value, 3 map:LiteralMap?value, "
        "8 offloaded_metadata:LiteralOffloadedMetadata?value, 4 hash:string, "
        "5 metadata:map<string,string>"
    ),
    "LiteralOffloadedMetadata": "1 uri:string, 2 size_bytes:uint64, 3 inferred_type:LiteralType",
    "Scalar": (
        "1 primitive:Primitive?value, 2 blob:Blob?value, 3 binary:Binary?value, "
        "4 schema:Schema?value, 5 none_type:Void?value, 6 error:Error?value, "
        "7 generic:Struct?value, 8 structured_dataset:StructuredDataset?value, 9 union:Union?value"
    ),
    "Primitive": (
        "1 integer:int64?value, 2 float_value:double?value, 3 string_value:string?value, "
        "4 boolean:bool?value, 5 datetime:Timestamp?value, 6 duration:Duration?value"
    ),
    "Void": "",
    "Blob": "1 metadata:BlobMetadata, 3 uri:string",
    "BlobMetadata": "1 type:BlobType",
    "Binary": "1 value:bytes, 2 tag:string",
    "Schema": "1 uri:string, 3 type:SchemaType",
    "Union": "1 value:Literal, 2 type:LiteralType",
    "StructuredDataset": "1 uri:string, 2 metadata:StructuredDatasetMetadata",
    "StructuredDatasetMetadata": "1 structured_dataset_type:StructuredDatasetType",
    # flyteidl.core.types
    "LiteralType": (
        "1 simple:enum?type, 2 schema:SchemaType?type, 3 collection_type:LiteralType?type, "
        "4 map_value_type:LiteralType?type, 5 blob:BlobType?type, 7 enum_type:EnumType?type, "
        "8 structured_dataset_type:StructuredDatasetType?type, 10 union_type:UnionType?type, "
        "6 metadata:Struct, 9 annotation:TypeAnnotation, 11 structure:TypeStructure"
    ),
    "SchemaType": "3 columns:SchemaColumn*",
    "SchemaColumn": "1 name:string, 2 type:enum",
    "StructuredDatasetType": (
        "1 columns:DatasetColumn*, 2 format:string, 3 external_schema_type:string, "
        "4 external_schema_bytes:bytes"
    ),
    "DatasetColumn": "1 name:string, 2 literal_type:LiteralType",
    "BlobType": "1 format:string, 2 dimensionality:enum",
    "EnumType": "1 values:string*",
    "UnionType": "1 variants:LiteralType*",
    "TypeStructure": "1 tag:string, 2 dataclass_type:map<string,LiteralType>",
    "TypeAnnotation": "1 annotations:Struct",
    "Error": "1 failed_node_id:string, 2 message:string",
    # flyteidl.core.errors
    "ErrorDocument": "1 error:ContainerError",
    "ContainerError": (
        "1 code:string, 2 message:string, 3 kind:enum, 4 origin:enum, 5 timestamp:Timestamp, "
        "6 worker:string"
    ),
    # google.protobuf
    "Timestamp": "1 seconds:int64, 2 nanos:int32",
    "Duration": "1 seconds:int64, 2 nanos:int32",
    "Struct": "1 fields:map<string,Value>",
    "Value": (
        "1 null_value:enum?kind, 2 number_value:double?kind, 3 string_value:string?kind, "
        "4 bool_value:bool?kind, 5 struct_value:Struct?kind, 6 list_value:ListValue?kind"
    ),
    "ListValue": "1 values:Value*",
}

# LiteralType.simple
NONE, INTEGER, FLOAT, STRING, BOOLEAN, DATETIME, DURATION = range(7)
STRUCT = 9
# BlobType.dimensionality
SINGLE, MULTIPART = 0, 1

VARINT, FIXED64, DELIMITED = 0, 1, 2
_WIRE_TYPES = {"double": FIXED64, "string": DELIMITED, "bytes": DELIMITED}
_VARINTS = ("int64", "uint64", "int32", "bool", "enum")


class Field:
    """One field: `kind` is a scalar type's name or another message's."""

    __slots__ = ("is_map", "is_message", "kind", "name", "number", "oneof", "repeated", "wire_type")

    def __init__(self, entry: str) -> None:
        number, _, rest = entry.partition(" ")
        self.name, _, kind = rest.partition(":")
        kind, _, self.oneof = kind.partition("?")
        self.number = int(number)
        self.is_map = kind.startswith("map<string,")
        self.repeated = kind.endswith("*")
        self.kind = kind[len("map<string,") : -1] if self.is_map else kind.rstrip("*")
        self.is_message = self.kind in MESSAGES
        self.wire_type = _WIRE_TYPES.get(self.kind, DELIMITED)
        if self.kind in _VARINTS:
            self.wire_type = VARINT
        if self.is_map or self.repeated:
            self.wire_type = DELIMITED


class Layout:
    """A message's fields in both orders that the codec needs."""

    __slots__ = ("by_number", "in_order", "oneofs")

    def __init__(self, row: str) -> None:
        fields = [Field(entry) for entry in row.split(", ") if entry]
        self.by_number = {field.number: field for field in fields}
        self.in_order = [self.by_number[number] for number in sorted(self.by_number)]
        self.oneofs: dict[str, list[str]] = {}
        for field in fields:
            if field.oneof:
                self.oneofs.setdefault(field.oneof, []).append(field.name)


_layouts: dict[str, Layout] = {}


def layout_of(message: str) -> Layout:
    layout = _layouts.get(message)
    if layout is None:
        layout = _layouts[message] = Layout(MESSAGES[message])
    return layout
