// SPDX-License-Identifier: Apache-2.0
// The AWS service models as tables: shapes, members, operations. tools/modelgen emits one constexpr set per service at
// build time from botocore's models and src/api/support/*.toml; validate, rest_json, rest_xml and query interpret them.
// Nothing here is written by hand but the types.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

namespace muster::api::model {

inline constexpr std::uint16_t kNone = 0xFFFF;
inline constexpr double kInfinity = std::numeric_limits<double>::infinity();

enum class Protocol : std::uint8_t { kRestJson, kRestXml, kQuery, kJson };
enum class Type : std::uint8_t {
  kString,
  kBlob,
  kBoolean,
  kInteger,
  kLong,
  kFloat,
  kDouble,
  kTimestamp,
  kStructure,
  kList,
  kMap
};
enum class Location : std::uint8_t { kBody, kUri, kQuery, kHeader, kHeaderPrefix, kStatusCode };
enum class TimestampFormat : std::uint8_t { kDefault, kEpochSeconds, kIso8601, kHttpDate };
// Whether Muster honours an operation or member. Refused: naming it in a request is an error that says why.
enum class Support : std::uint8_t { kRefused, kPartial, kFull };

struct Member {
  std::string_view name;           // "thingName"
  std::string_view location_name;  // wire name: query key, header, XML element, or name
  std::uint16_t shape;             // index into Service::shapes
  Location location;
  bool required;
  bool idempotency_token;
  bool xml_attribute;
  bool flattened;   // XML lists and maps: on the member or on its shape
  bool json_value;  // header that carries base64 of JSON; the input holds the JSON text
  TimestampFormat timestamp_format;
  bool refused;                     // real AWS member that Muster does not honour
  std::string_view refused_reason;  // why, for the error and the reference page
};

struct Shape {
  std::string_view name;
  Type type;
  bool sensitive;
  bool streaming;              // blob that is the streamed payload
  bool flattened;              // XML lists and maps
  bool converts;               // a time, blob or renamed member is beneath: wire and memory differ
  std::uint16_t first_member;  // structure: members [first_member, +member_count)
  std::uint16_t member_count;
  std::uint16_t key;                // map: key shape
  std::uint16_t element;            // list: element shape; map: value shape
  std::string_view key_name;        // XML and query names of map entries ("key", "value" when absent)
  std::string_view element_name;    // list: element of an item ("member" when absent); map: of a value
  std::int64_t min, max;            // length, size or value; INT64_MIN / INT64_MAX when absent
  double low, high;                 // value of floats and doubles; +-kInfinity when absent
  std::string_view pattern;         // RE2 syntax, whole-match; "@name": predicate in validate.cc; empty when absent
  std::uint16_t pattern_id;         // dense within the service, for the cache of compiled patterns; kNone when absent
  std::string_view pattern_source;  // as the model writes it, for the error text
  std::uint16_t first_enum, enum_count;  // into Service::enums
  std::uint16_t payload;                 // structure: member index (absolute) that is the whole body, or kNone
};

struct ErrorShape {
  std::string_view name;  // "ResourceNotFoundException"
  std::string_view code;  // as written on the wire: "NoSuchEntity" where the name is NoSuchEntityException
  int status;             // 0: the model does not say
};

struct Operation {
  std::string_view name;
  std::string_view method;
  std::string_view uri;         // template with labels and fixed query: "/things/{thingName}", "/{Bucket}?tagging"
  std::uint16_t input, output;  // structure shapes or kNone
  int success_status;
  Support support;
  std::string_view note;       // difference from AWS, or the reason of a refusal
  std::string_view action;     // IAM action, "iot:CreateThing"; empty: any authenticated caller
  std::string_view resources;  // space-separated ARN templates over the input: "thing/{thingName}", "*"
  // Roles that the call hands to a service: space-separated paths over the input ("presignedUrlConfig.roleArn"; lists
  // item by item, "*" any member). Each is asked as iam:PassRole with iam:PassedToService = passed_to.
  std::string_view pass_role, passed_to;
  std::string_view invokes;      // functions that the service will call for whoever names them; paths as pass_role
  std::string_view tags_action;  // asked besides on the first resource when the call brings tags: "iot:TagResource"
  bool anonymous;                // may be called unsigned (then policies of the resource decide)
  std::uint16_t first_error, error_count;
  std::string_view result_wrapper;  // query protocol: "CreateUserResult"
  std::string_view xml_root;        // rest-xml: root element of the answer, "ListBucketResult"
  bool xml_unwrapped;               // the root element is the single body member itself (GetBucketLocation)
};

struct Service {
  std::string_view id;     // "iot", "iot-data", "iot-jobs-data", "s3", "iam", "sts"
  std::string_view title;  // "AWS IoT control plane"
  std::string_view api_version;
  Protocol protocol;
  std::string_view xml_namespace;
  std::span<const std::string_view> signing_names;  // SigV4 scope names that mean this service
  std::span<const Shape> shapes;
  std::span<const Member> members;
  std::span<const std::string_view> enums;
  std::span<const ErrorShape> errors;
  std::span<const Operation> operations;  // all of the model, by name; refused ones have no input or output shapes
  std::uint16_t pattern_count;
  std::string_view target_prefix;  // JSON protocol: "<prefix>.<Operation>" is X-Amz-Target
  std::string_view json_version;   // JSON protocol: "1.0", "1.1"
};

std::span<const Service* const> services();  // in src/api/wire/model.cc, over the generated tables
const Service* find_service(std::string_view id);
const Operation* find_operation(const Service& service, std::string_view name);

}  // namespace muster::api::model
