// SPDX-License-Identifier: Apache-2.0
// Shapes as XML, for rest-xml bodies and query answers: names, wrapped and flattened lists, maps, attributes. Pure
// functions; bounded by the document (xml.h) and the shape. Errors of reading: kInvalid with reason MalformedXML, and
// refuse_member's for elements that are in no model; of writing: kInternal, the handler's output does not fit.
#pragma once

#include "api/wire/model.h"
#include "api/wire/xml.h"
#include "base/json.h"

namespace muster::api {

Result<json::object> read_xml_structure(const model::Service& service, const model::Shape& shape,
                                        const pugi::xml_node& node);
// The members bound to the body (all members below the top), inside the element that is open.
Status write_xml_structure(const model::Service& service, const model::Shape& shape, const json::object& value,
                           XmlWriter& out, bool top);
// Elements of one member; its name is the caller's.
Status write_xml_member(const model::Service& service, const model::Member& member, const json::value& value,
                        XmlWriter& out);

}  // namespace muster::api
