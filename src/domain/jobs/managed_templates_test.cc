// SPDX-License-Identifier: Apache-2.0
#include "domain/jobs/managed_templates.h"

#include <set>

#include "base/text.h"
#include "domain/jobs/documents.h"
#include "domain/jobs/fleet_fixture.h"

namespace muster::jobs {
namespace {

using Values = std::map<std::string, std::string>;

// The only action of a document.
json::object action_of(const std::string& document) {
  const auto parsed = parse_json(document);
  EXPECT_TRUE(parsed) << document;
  if (!parsed) return {};
  const json::object& root = parsed->as_object();
  EXPECT_EQ(get_string(root, "version"), "1.0");
  const auto* steps = find_array(root, "steps");
  EXPECT_TRUE(steps != nullptr && steps->size() == 1);
  return steps != nullptr ? steps->at(0).as_object().at("action").as_object() : json::object();
}

std::string refusal(std::string_view name, const Values& values) {
  const auto expanded = expand_parameters(*find_managed_template(name), values);
  if (expanded) return "accepted";
  EXPECT_EQ(expanded.error().kind, ErrorKind::kInvalid);
  return expanded.error().message;
}

TEST(ManagedTemplates, are_the_eight_of_aws_in_order) {
  std::vector<std::string_view> names;
  for (const auto& managed : managed_templates()) names.push_back(managed.name);
  EXPECT_EQ(names, (std::vector<std::string_view>{"AWS-Download-File", "AWS-Install-Application", "AWS-Reboot",
                                                  "AWS-Remove-Application", "AWS-Restart-Application",
                                                  "AWS-Run-Command", "AWS-Start-Application", "AWS-Stop-Application"}));
}

TEST(ManagedTemplates, are_found_by_name_version_and_arn) {
  const Fleet fleet;
  for (const auto& managed : managed_templates()) {
    EXPECT_EQ(find_managed_template(managed.name), &managed);
    EXPECT_EQ(find_managed_template(managed.name, "1.0"), &managed);
    EXPECT_EQ(find_managed_template(managed.name, "1.1"), nullptr);
    EXPECT_EQ(find_managed_template_by_arn(fleet.context, managed_template_arn(fleet.context, managed)), &managed);
  }
  EXPECT_EQ(find_managed_template("aws-reboot"), nullptr);
  EXPECT_EQ(find_managed_template(""), nullptr);
  const auto* reboot = find_managed_template("AWS-Reboot");
  EXPECT_EQ(managed_template_arn(fleet.context, *reboot), "arn:aws:iot:eu-central-1::jobtemplate/AWS-Reboot:1.0");
  for (const std::string_view other :
       {"arn:aws:iot:eu-central-1::jobtemplate/AWS-Reboot", "arn:aws:iot:us-east-1::jobtemplate/AWS-Reboot:1.0",
        "arn:aws:iot:eu-central-1:123456789012:jobtemplate/AWS-Reboot:1.0", "AWS-Reboot", ""}) {
    EXPECT_EQ(find_managed_template_by_arn(fleet.context, other), nullptr) << other;
  }
}

TEST(ManagedTemplates, placeholders_and_parameters_of_each_agree) {
  constexpr std::string_view kOpen = "${aws:iot:parameter:";
  for (const auto& managed : managed_templates()) {
    std::set<std::string_view> declared, used;
    for (const auto& parameter : managed.parameters) {
      EXPECT_TRUE(declared.insert(parameter.key).second);
      EXPECT_FALSE(parameter.description.empty() || parameter.example.empty());
      // The length that is checked is the one that the expression says.
      const std::string bounded = "(.){0," + std::to_string(parameter.max_characters) + "}";
      EXPECT_EQ(parameter.regex, parameter.optional ? bounded : "(.*?)") << parameter.key;
    }
    std::string_view rest = managed.document;
    for (auto open = rest.find(kOpen); open != std::string_view::npos; open = rest.find(kOpen)) {
      rest.remove_prefix(open + kOpen.size());
      used.insert(rest.substr(0, rest.find('}')));
    }
    EXPECT_EQ(declared, used) << managed.name;
    EXPECT_TRUE(declared.contains("runAsUser"));
    EXPECT_EQ(declared.contains("pathToHandler"), managed.name != "AWS-Run-Command");
  }
}

TEST(ManagedTemplates, documents_are_of_the_device_clients_schema) {
  const Fleet fleet;
  const std::map<std::string, std::string> handlers{{"Download-File", "download-file.sh"},
                                                    {"Install-Application", "install-packages.sh"},
                                                    {"Reboot", "reboot.sh"},
                                                    {"Remove-Application", "remove-packages.sh"},
                                                    {"Restart-Application", "restart-services.sh"},
                                                    {"Start-Application", "start-services.sh"},
                                                    {"Stop-Application", "stop-services.sh"}};
  for (const auto& managed : managed_templates()) {
    Values values;
    for (const auto& parameter : managed.parameters) values.emplace(parameter.key, parameter.key);
    const auto document = expand_parameters(managed, values);
    ASSERT_TRUE(document) << document.error().message;
    EXPECT_TRUE(compile_document(fleet.context, *document));
    const json::object action = action_of(*document);
    const std::string name(get_string(action, "name"));
    EXPECT_EQ("AWS-" + name, managed.name);
    EXPECT_EQ(get_string(action, "runAsUser"), "runAsUser");
    const json::object input = action.at("input").as_object();
    if (name == "Run-Command") {
      EXPECT_EQ(get_string(action, "type"), "runCommand");
      EXPECT_EQ(input, (json::object{{"command", "command"}}));
      continue;
    }
    EXPECT_EQ(get_string(action, "type"), "runHandler");
    EXPECT_EQ(get_string(input, "handler"), handlers.at(name));
    EXPECT_EQ(get_string(input, "path"), "pathToHandler");
    std::size_t required = 0;
    for (const auto& parameter : managed.parameters) required += parameter.optional ? 0 : 1;
    const auto* args = find_array(input, "args");
    EXPECT_EQ(args == nullptr ? 0 : args->size(), required) << name;
  }
}

TEST(ManagedTemplates, optional_parameters_that_are_not_given_are_empty) {
  const auto document = expand_parameters(*find_managed_template("AWS-Reboot"), {});
  ASSERT_TRUE(document);
  const json::object action = action_of(*document);
  EXPECT_EQ(action.at("runAsUser"), "");
  EXPECT_EQ(action.at("input").as_object().at("path"), "");
}

TEST(ManagedTemplates, parameters_are_checked_by_name) {
  EXPECT_NE(refusal("AWS-Download-File", {{"downloadUrl", "u"}}).find("requires document parameter filePath"),
            std::string::npos);
  EXPECT_NE(refusal("AWS-Download-File", {{"downloadUrl", ""}, {"filePath", "p"}}).find("parameter downloadUrl"),
            std::string::npos);
  EXPECT_NE(refusal("AWS-Reboot", {{"packages", "x"}}).find("has no document parameter packages"), std::string::npos);
  EXPECT_NE(refusal("AWS-Run-Command", {{"command", "ls"}, {"pathToHandler", "/"}}), "accepted");
  EXPECT_NE(refusal("AWS-Reboot", {{"RunAsUser", "x"}}), "accepted");
  EXPECT_NE(refusal("AWS-Reboot", {{"runAsUser", "a\nb"}}).find("(.){0,256}"), std::string::npos);
  EXPECT_NE(refusal("AWS-Reboot", {{"runAsUser", "\xff"}}), "accepted");
}

TEST(ManagedTemplates, lengths_count_characters) {
  std::string umlauts;
  for (int i = 0; i < 256; ++i) umlauts += "ü";
  EXPECT_EQ(refusal("AWS-Reboot", {{"runAsUser", umlauts}}), "accepted");
  EXPECT_NE(refusal("AWS-Reboot", {{"runAsUser", umlauts + "x"}}), "accepted");
  EXPECT_EQ(refusal("AWS-Reboot", {{"pathToHandler", std::string(4096, '/')}}), "accepted");
  EXPECT_NE(refusal("AWS-Reboot", {{"pathToHandler", std::string(4097, '/')}}), "accepted");
  EXPECT_NE(refusal("AWS-Run-Command", {{"command", std::string(30721, 'x')}}), "accepted");
}

TEST(ManagedTemplates, values_cannot_break_out_of_their_strings) {
  const std::string evil = R"(","type":"runCommand","x":"\)";
  const auto document = expand_parameters(*find_managed_template("AWS-Run-Command"), {{"command", evil}});
  ASSERT_TRUE(document);
  const json::object action = action_of(*document);
  EXPECT_EQ(get_string(action.at("input").as_object(), "command"), evil);
  EXPECT_EQ(action.size(), 4u);
}

TEST(ManagedTemplates, values_are_not_expanded_again) {
  const auto document = expand_parameters(*find_managed_template("AWS-Run-Command"),
                                          {{"command", "${aws:iot:parameter:runAsUser}"}, {"runAsUser", "root"}});
  ASSERT_TRUE(document);
  EXPECT_EQ(action_of(*document).at("input").as_object().at("command"), "${aws:iot:parameter:runAsUser}");
  const Fleet fleet;
  EXPECT_FALSE(compile_document(fleet.context, *document));  // so such a job is refused
}

TEST(ManagedTemplates, values_may_hold_placeholders_of_signed_urls) {
  const Fleet fleet;
  const auto document =
      expand_parameters(*find_managed_template("AWS-Download-File"),
                        {{"downloadUrl", "${aws:iot:s3-presigned-url:https://s3/b/k}"}, {"filePath", "/tmp/k"}});
  ASSERT_TRUE(document);
  const auto compiled = compile_document(fleet.context, *document);
  ASSERT_TRUE(compiled) << compiled.error().message;
  ASSERT_EQ(compiled->urls.size(), 1u);
  EXPECT_EQ(compiled->urls[0].key, "k");
}

}  // namespace
}  // namespace muster::jobs
