# SPDX-License-Identifier: Apache-2.0
"""The field numbers of the messages that are exchanged with a worker.

Facts of the wire, in a notation of our own: `number name:type`, `*` repeated, `map<string,T>`. A
type that is no scalar is another row. Fields that nobody here reads or writes are left out: they
are skipped when they come.
"""

from __future__ import annotations

MESSAGES = {
    # moby.buildkit.v1, the service Control
    "SolveRequest": (
        "1 Ref:string, 3 Exporter:string, "
        "4 ExporterAttrs:map<string,string>, 5 Session:string, 6 Frontend:string, "
        "7 FrontendAttrs:map<string,string>, 8 Cache:CacheOptions, 9 Entitlements:string*"
    ),
    "CacheOptions": "4 Exports:CacheEntry*, 5 Imports:CacheEntry*",
    "CacheEntry": "1 Type:string, 2 Attrs:map<string,string>",
    "SolveResponse": "1 ExporterResponse:map<string,string>",
    "StatusRequest": "1 Ref:string",
    "StatusResponse": (
        "1 vertexes:Vertex*, 2 statuses:VertexStatus*, 3 logs:VertexLog*, 4 warnings:VertexWarning*"
    ),
    "Vertex": (
        "1 digest:string, 2 inputs:string*, 3 name:string, 4 cached:bool, 5 started:Timestamp, "
        "6 completed:Timestamp, 7 error:string"
    ),
    "VertexStatus": (
        "1 ID:string, 2 vertex:string, 3 name:string, 4 current:int64, 5 total:int64, "
        "6 timestamp:Timestamp, 7 started:Timestamp, 8 completed:Timestamp"
    ),
    "VertexLog": "1 vertex:string, 2 timestamp:Timestamp, 3 stream:int64, 4 msg:bytes",
    "VertexWarning": "1 vertex:string, 2 level:int64, 3 short:bytes, 4 detail:bytes*, 5 url:string",
    "Timestamp": "1 seconds:int64, 2 nanos:int64",
    "BytesMessage": "1 data:bytes",
    "ListWorkersRequest": "1 filter:string*",
    "ListWorkersResponse": "1 record:WorkerRecord*",
    "WorkerRecord": (
        "1 ID:string, 2 Labels:map<string,string>, 3 platforms:Platform*, "
        "5 BuildkitVersion:BuildkitVersion"
    ),
    "Platform": "1 Architecture:string, 2 OS:string, 3 Variant:string",
    "BuildkitVersion": "1 package:string, 2 version:string, 3 revision:string",
    # moby.buildkit.v1.frontend, the service LLBBridge: builds whose frontend is the client
    "BridgeSolveRequest": "1 Definition:Definition, 5 allowResultReturn:bool, "
    "6 allowResultArrayRef:bool",
    "BridgeSolveResponse": "3 result:BridgeResult",
    "BridgeResult": "1 refDeprecated:string, 3 ref:BridgeRef, 10 metadata:map<string,bytes>",
    "BridgeRef": "1 id:string",
    "ReturnRequest": "1 result:BridgeResult",
    "ReturnResponse": "",
    # pb: what such a build consists of
    "Definition": "1 def:bytes*",
    "Op": "1 inputs:OpInput*, 3 source:OpSource, 10 platform:Platform",
    "OpInput": "1 digest:string, 2 index:int64",
    "OpSource": "1 identifier:string, 2 attrs:map<string,string>",
    # the session's services, which the worker calls here
    "Packet": "1 type:int64, 2 stat:Stat, 3 ID:uint64, 4 data:bytes",
    "Stat": (
        "1 path:bytes, 2 mode:uint64, 3 uid:uint64, 4 gid:uint64, 5 size:int64, 6 modtime:int64, "
        "7 linkname:bytes"
    ),
    "GetSecretRequest": "1 ID:string",
    "GetSecretResponse": "1 data:bytes",
    "CredentialsRequest": "1 Host:string",
    "CredentialsResponse": "1 Username:string, 2 Secret:string",
    "HealthCheckRequest": "1 service:string",
    "HealthCheckResponse": "1 status:int64",
    # containerd.services.content.v1, for images that the worker reads out of the session
    "InfoRequest": "1 digest:string",
    "InfoResponse": "1 info:BlobInfo",
    "BlobInfo": "1 digest:string, 2 size:int64",
    "ReadContentRequest": "1 digest:string, 2 offset:int64, 3 size:int64",
    "ReadContentResponse": "1 offset:int64, 2 data:bytes",
    "WriteContentRequest": (
        "1 action:int64, 2 ref:string, 3 total:int64, 4 expected:string, 5 offset:int64, "
        "6 data:bytes"
    ),
    "WriteContentResponse": "1 action:int64, 4 offset:int64, 5 total:int64, 6 digest:string",
}
