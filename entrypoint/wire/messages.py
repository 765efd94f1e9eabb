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
    # flyteidl.core.tasks
    "TaskTemplate": (
        "1 id:Identifier, 2 type:string, 3 metadata:TaskMetadata, 4 interface:TypedInterface, "
        "5 custom:Struct, 6 container:Container?target, 17 k8s_pod:K8sPod?target, "
        "18 sql:Sql?target, 7 task_type_version:int32, 8 security_context:SecurityContext, "
        "9 extended_resources:ExtendedResources, 16 config:map<string,string>"
    ),
    "TaskMetadata": (
        "1 discoverable:bool, 2 runtime:RuntimeMetadata, 4 timeout:Duration, "
        "5 retries:RetryStrategy, 6 discovery_version:string, 7 deprecated_error_message:string, "
        "8 interruptible:bool?interruptible_value, 9 cache_serializable:bool, "
        "11 tags:map<string,string>, 12 pod_template_name:string, "
        "13 cache_ignore_input_vars:string*, 14 is_eager:bool, 15 generates_deck:BoolValue, "
        "16 metadata:K8sObjectMetadata"
    ),
    "RuntimeMetadata": "1 type:enum, 2 version:string, 3 flavor:string",
    "K8sObjectMetadata": "1 labels:map<string,string>, 2 annotations:map<string,string>",
    "Container": (
        "1 image:string, 2 command:string*, 3 args:string*, 4 resources:Resources, "
        "5 env:KeyValuePair*, 6 config:KeyValuePair*, 7 ports:ContainerPort*, "
        "9 data_config:DataLoadingConfig, 10 architecture:enum"
    ),
    "Resources": "1 requests:ResourceEntry*, 2 limits:ResourceEntry*",
    "ResourceEntry": "1 name:enum, 2 value:string",
    "ContainerPort": "1 container_port:uint32, 2 name:string",
    "DataLoadingConfig": (
        "1 enabled:bool, 2 input_path:string, 3 output_path:string, 4 format:enum, "
        "5 io_strategy:IOStrategy"
    ),
    "IOStrategy": "1 download_mode:enum, 2 upload_mode:enum",
    "K8sPod": (
        "1 metadata:K8sObjectMetadata, 2 pod_spec:Struct, 3 data_config:DataLoadingConfig, "
        "4 primary_container_name:string"
    ),
    "Sql": "1 statement:string, 2 dialect:enum",
    "ExtendedResources": "1 gpu_accelerator:GPUAccelerator, 2 shared_memory:SharedMemory",
    "GPUAccelerator": (
        "1 device:string, 2 unpartitioned:bool?partition_size_value, "
        "3 partition_size:string?partition_size_value"
    ),
    "SharedMemory": "1 mount_path:string, 2 mount_name:string, 3 size_limit:string",
    # flyteidl.core.identifier
    "Identifier": (
        "1 resource_type:enum, 2 project:string, 3 domain:string, 4 name:string, "
        "5 version:string, 6 org:string"
    ),
    # flyteidl.core.literals
    "RetryStrategy": "5 retries:uint32",
    "KeyValuePair": "1 key:string, 2 value:string",
    "Binding": "1 var:string, 2 binding:BindingData",
    "BindingData": (
        "1 scalar:Scalar?value, 2 collection:BindingDataCollection?value, "
        "3 promise:OutputReference?value, 4 map:BindingDataMap?value, "
        "6 offloaded_metadata:LiteralOffloadedMetadata?value, 5 union:UnionInfo"
    ),
    "BindingDataCollection": "1 bindings:BindingData*",
    "BindingDataMap": "1 bindings:map<string,BindingData>",
    "UnionInfo": "1 targetType:LiteralType",
    # flyteidl.core.interface
    "TypedInterface": "1 inputs:VariableMap, 2 outputs:VariableMap",
    "VariableMap": "1 variables:map<string,Variable>",
    "Variable": (
        "1 type:LiteralType, 2 description:string, 3 artifact_partial_id:ArtifactID, "
        "4 artifact_tag:ArtifactTag"
    ),
    # flyteidl.core.artifact_id
    "ArtifactID": (
        "1 artifact_key:ArtifactKey, 2 version:string, 3 partitions:Partitions, "
        "4 time_partition:TimePartition"
    ),
    "ArtifactKey": "1 project:string, 2 domain:string, 3 name:string, 4 org:string",
    "Partitions": "1 value:map<string,LabelValue>",
    "LabelValue": (
        "1 static_value:string?value, 2 time_value:Timestamp?value, "
        "3 triggered_binding:ArtifactBindingData?value, 4 input_binding:InputBindingData?value, "
        "5 runtime_binding:RuntimeBinding?value"
    ),
    "ArtifactBindingData": (
        "5 partition_key:string?partition_data, 6 bind_to_time_partition:bool?partition_data, "
        "7 time_transform:TimeTransform"
    ),
    "TimeTransform": "1 transform:string, 2 op:enum",
    "InputBindingData": "1 var:string",
    "RuntimeBinding": "",
    "TimePartition": "1 value:LabelValue, 2 granularity:enum",
    "ArtifactTag": "1 artifact_key:ArtifactKey, 2 value:LabelValue",
    # flyteidl.core.security
    "SecurityContext": "1 run_as:Identity, 2 secrets:Secret*, 3 tokens:OAuth2TokenRequest*",
    "Identity": (
        "1 iam_role:string, 2 k8s_service_account:string, 3 oauth2_client:OAuth2Client, "
        "4 execution_identity:string"
    ),
    "OAuth2Client": "1 client_id:string, 2 client_secret:Secret",
    "Secret": (
        "1 group:string, 2 group_version:string, 3 key:string, 4 mount_requirement:enum, "
        "5 env_var:string"
    ),
    "OAuth2TokenRequest": (
        "1 name:string, 2 type:enum, 3 client:OAuth2Client, 4 idp_discovery_endpoint:string, "
        "5 token_endpoint:string"
    ),
    # flyteidl.core.dynamic_job
    "DynamicJobSpec": (
        "1 nodes:Node*, 2 min_successes:int64, 3 outputs:Binding*, 4 tasks:TaskTemplate*, "
        "5 subworkflows:WorkflowTemplate*"
    ),
    # flyteidl.core.workflow
    "Node": (
        "1 id:string, 2 metadata:NodeMetadata, 3 inputs:Binding*, 4 upstream_node_ids:string*, "
        "5 output_aliases:Alias*, 6 task_node:TaskNode?target, "
        "7 workflow_node:WorkflowNode?target, 8 branch_node:BranchNode?target, "
        "9 gate_node:GateNode?target, 10 array_node:ArrayNode?target"
    ),
    "NodeMetadata": (
        "1 name:string, 4 timeout:Duration, 5 retries:RetryStrategy, "
        "6 interruptible:bool?interruptible_value, 7 cacheable:bool?cacheable_value, "
        "8 cache_version:string?cache_version_value, "
        "9 cache_serializable:bool?cache_serializable_value, 10 config:map<string,string>"
    ),
    "Alias": "1 var:string, 2 alias:string",
    "TaskNode": "1 reference_id:Identifier?reference, 2 overrides:TaskNodeOverrides",
    "TaskNodeOverrides": (
        "1 resources:Resources, 2 extended_resources:ExtendedResources, "
        "3 container_image:string, 4 pod_template:K8sPod"
    ),
    "WorkflowNode": (
        "1 launchplan_ref:Identifier?reference, 2 sub_workflow_ref:Identifier?reference"
    ),
    "BranchNode": "1 if_else:IfElseBlock",
    "IfElseBlock": (
        "1 case:IfBlock, 2 other:IfBlock*, 3 else_node:Node?default, 4 error:Error?default"
    ),
    "IfBlock": "1 condition:BooleanExpression, 2 then_node:Node",
    "GateNode": (
        "1 approve:ApproveCondition?condition, 2 signal:SignalCondition?condition, "
        "3 sleep:SleepCondition?condition"
    ),
    "ApproveCondition": "1 signal_id:string",
    "SignalCondition": "1 signal_id:string, 2 type:LiteralType, 3 output_variable_name:string",
    "SleepCondition": "1 duration:Duration",
    "ArrayNode": (
        "1 node:Node, 2 parallelism:uint32?parallelism_option, "
        "3 min_successes:uint32?success_criteria, 4 min_success_ratio:float?success_criteria, "
        "5 execution_mode:enum, 6 is_original_sub_node_interface:BoolValue, 7 data_mode:enum, "
        "8 bound_inputs:string*, 9 run_all_sub_nodes:bool"
    ),
    "WorkflowTemplate": (
        "1 id:Identifier, 2 metadata:WorkflowMetadata, 3 interface:TypedInterface, "
        "4 nodes:Node*, 5 outputs:Binding*, 6 failure_node:Node, "
        "7 metadata_defaults:WorkflowMetadataDefaults"
    ),
    "WorkflowMetadata": (
        "1 quality_of_service:QualityOfService, 2 on_failure:enum, 3 tags:map<string,string>"
    ),
    "WorkflowMetadataDefaults": "1 interruptible:bool",
    # flyteidl.core.types
    "OutputReference": "1 node_id:string, 2 var:string, 3 attr_path:PromiseAttribute*",
    "PromiseAttribute": "1 string_value:string?value, 2 int_value:int32?value",
    # flyteidl.core.condition
    "BooleanExpression": (
        "1 conjunction:ConjunctionExpression?expr, 2 comparison:ComparisonExpression?expr"
    ),
    "ConjunctionExpression": (
        "1 operator:enum, 2 left_expression:BooleanExpression, 3 right_expression:BooleanExpression"
    ),
    "ComparisonExpression": "1 operator:enum, 2 left_value:Operand, 3 right_value:Operand",
    "Operand": "1 primitive:Primitive?val, 2 var:string?val, 3 scalar:Scalar?val",
    # flyteidl.core.execution
    "QualityOfService": "1 tier:enum?designation, 2 spec:QualityOfServiceSpec?designation",
    "QualityOfServiceSpec": "1 queueing_budget:Duration",
    # google.protobuf
    "BoolValue": "1 value:bool",
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

VARINT, FIXED64, DELIMITED, FIXED32 = 0, 1, 2, 5
_WIRE_TYPES = {"double": FIXED64, "float": FIXED32, "string": DELIMITED, "bytes": DELIMITED}
_VARINTS = ("int64", "uint64", "int32", "uint32", "bool", "enum")


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
