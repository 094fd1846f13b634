// SPDX-License-Identifier: Apache-2.0
#include "domain/jobs/managed_templates.h"

#include <algorithm>

#include "base/ids.h"
#include "base/json.h"
#include "base/text.h"

namespace muster::jobs {

namespace {

// As the shape ParameterValue bounds every value.
constexpr std::size_t kAnyLength = 30'720;

constexpr ManagedParameter required(std::string_view key, std::string_view description, std::string_view example) {
  return {key, description, "(.*?)", example, false, kAnyLength};
}
constexpr ManagedParameter kRunAsUser{"runAsUser",
                                      "The user on the device who runs the action; when absent, the one of the client "
                                      "that got the job.",
                                      "(.){0,256}",
                                      "user1",
                                      true,
                                      256};
constexpr ManagedParameter kPathToHandler{"pathToHandler",
                                          "The folder on the device that holds the handler; when absent, where the "
                                          "client that got the job looks for handlers.",
                                          "(.){0,4096}",
                                          "/path/to/handler/script",
                                          true,
                                          4096};

constexpr ManagedParameter kRebootParameters[] = {kRunAsUser, kPathToHandler};
constexpr ManagedParameter kDownloadParameters[] = {
    required("downloadUrl", "Where the device downloads the file from; it may be a placeholder of a pre-signed URL.",
             "https://www.example.com/index.html"),
    required("filePath", "Where the device puts the file.", "/path/to/file"), kRunAsUser, kPathToHandler};
constexpr ManagedParameter kPackagesParameters[] = {
    required("packages", "Names of one or more packages, separated by spaces.", "application1 application2"),
    kRunAsUser, kPathToHandler};
constexpr ManagedParameter kServicesParameters[] = {
    required("services", "Names of one or more services, separated by spaces.", "service1 service2"), kRunAsUser,
    kPathToHandler};
constexpr ManagedParameter kCommandParameters[] = {
    required("command", "The command and its arguments, separated by commas; a comma of theirs is written \\,.",
             "echo,Hello\\, world"),
    kRunAsUser};

// Documents of schema version 1.0: one step, by a handler of the device or as a command (jobs spec 5.5).
constexpr ManagedTemplate kTemplates[] = {
    {"AWS-Download-File", "1.0", "A managed job template that downloads a file to the device.",
     R"({"version":"1.0","steps":[{"action":{"name":"Download-File","type":"runHandler","input":{)"
     R"("handler":"download-file.sh","args":["${aws:iot:parameter:downloadUrl}","${aws:iot:parameter:filePath}"],)"
     R"("path":"${aws:iot:parameter:pathToHandler}"},"runAsUser":"${aws:iot:parameter:runAsUser}"}}]})",
     kDownloadParameters},
    {"AWS-Install-Application", "1.0", "A managed job template that installs applications on the device.",
     R"({"version":"1.0","steps":[{"action":{"name":"Install-Application","type":"runHandler","input":{)"
     R"("handler":"install-packages.sh","args":["${aws:iot:parameter:packages}"],)"
     R"("path":"${aws:iot:parameter:pathToHandler}"},"runAsUser":"${aws:iot:parameter:runAsUser}"}}]})",
     kPackagesParameters},
    {"AWS-Reboot", "1.0", "A managed job template that reboots the device.",
     R"({"version":"1.0","steps":[{"action":{"name":"Reboot","type":"runHandler","input":{)"
     R"("handler":"reboot.sh",)"
     R"("path":"${aws:iot:parameter:pathToHandler}"},"runAsUser":"${aws:iot:parameter:runAsUser}"}}]})",
     kRebootParameters},
    {"AWS-Remove-Application", "1.0", "A managed job template that removes applications from the device.",
     R"({"version":"1.0","steps":[{"action":{"name":"Remove-Application","type":"runHandler","input":{)"
     R"("handler":"remove-packages.sh","args":["${aws:iot:parameter:packages}"],)"
     R"("path":"${aws:iot:parameter:pathToHandler}"},"runAsUser":"${aws:iot:parameter:runAsUser}"}}]})",
     kPackagesParameters},
    {"AWS-Restart-Application", "1.0", "A managed job template that restarts services of the device.",
     R"({"version":"1.0","steps":[{"action":{"name":"Restart-Application","type":"runHandler","input":{)"
     R"("handler":"restart-services.sh","args":["${aws:iot:parameter:services}"],)"
     R"("path":"${aws:iot:parameter:pathToHandler}"},"runAsUser":"${aws:iot:parameter:runAsUser}"}}]})",
     kServicesParameters},
    {"AWS-Run-Command", "1.0", "A managed job template that runs a command on the device.",
     R"({"version":"1.0","steps":[{"action":{"name":"Run-Command","type":"runCommand","input":{)"
     R"("command":"${aws:iot:parameter:command}"},"runAsUser":"${aws:iot:parameter:runAsUser}"}}]})",
     kCommandParameters},
    {"AWS-Start-Application", "1.0", "A managed job template that starts services of the device.",
     R"({"version":"1.0","steps":[{"action":{"name":"Start-Application","type":"runHandler","input":{)"
     R"("handler":"start-services.sh","args":["${aws:iot:parameter:services}"],)"
     R"("path":"${aws:iot:parameter:pathToHandler}"},"runAsUser":"${aws:iot:parameter:runAsUser}"}}]})",
     kServicesParameters},
    {"AWS-Stop-Application", "1.0", "A managed job template that stops services of the device.",
     R"({"version":"1.0","steps":[{"action":{"name":"Stop-Application","type":"runHandler","input":{)"
     R"("handler":"stop-services.sh","args":["${aws:iot:parameter:services}"],)"
     R"("path":"${aws:iot:parameter:pathToHandler}"},"runAsUser":"${aws:iot:parameter:runAsUser}"}}]})",
     kServicesParameters},
};

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

Status check_values(const ManagedTemplate& from, const std::map<std::string, std::string>& values) {
  for (const auto& [key, value] : values) {
    const auto known = std::ranges::find(from.parameters, key, &ManagedParameter::key);
    if (known == from.parameters.end()) {
      return invalid("The managed job template " + std::string(from.name) + " has no document parameter " + key + ".");
    }
    if (is_utf8(value) && !has_control_characters(value) && characters(value) <= known->max_characters) continue;
    return invalid("The value of document parameter " + key + " must match the regular expression " +
                   std::string(known->regex) + ".");
  }
  for (const auto& parameter : from.parameters) {
    if (parameter.optional) continue;
    const auto given = values.find(std::string(parameter.key));
    if (given != values.end() && !given->second.empty()) continue;
    return invalid("The managed job template " + std::string(from.name) + " requires document parameter " +
                   std::string(parameter.key) + ".");
  }
  return {};
}

}  // namespace

std::span<const ManagedTemplate> managed_templates() {
  return kTemplates;
}

const ManagedTemplate* find_managed_template(std::string_view name, std::string_view version) {
  const auto* found = std::ranges::find(kTemplates, name, &ManagedTemplate::name);
  if (found == std::end(kTemplates) || (!version.empty() && version != found->version)) return nullptr;
  return found;
}

const ManagedTemplate* find_managed_template_by_arn(const Context& context, std::string_view arn) {
  const auto found = std::ranges::find_if(
      kTemplates, [&](const ManagedTemplate& managed) { return managed_template_arn(context, managed) == arn; });
  return found == std::end(kTemplates) ? nullptr : found;
}

std::string managed_template_arn(const Context& context, const ManagedTemplate& found) {
  std::string arn = "arn:aws:iot:" + context.realm.region + "::jobtemplate/";
  return arn.append(found.name).append(":").append(found.version);
}

Result<std::string> expand_parameters(const ManagedTemplate& from, const std::map<std::string, std::string>& values) {
  TRY_VOID(check_values(from, values));
  // Only our own documents come here: every placeholder stands within a string and ends.
  constexpr std::string_view kOpen = "${aws:iot:parameter:";
  std::string out;
  std::string_view rest = from.document;
  for (auto open = rest.find(kOpen); open != std::string_view::npos; open = rest.find(kOpen)) {
    out.append(rest.substr(0, open));
    rest.remove_prefix(open + kOpen.size());
    const auto close = rest.find('}');
    const auto given = values.find(std::string(rest.substr(0, close)));
    if (given != values.end()) {
      std::string quoted;
      append_json_string(quoted, given->second);
      out.append(quoted, 1, quoted.size() - 2);
    }
    rest.remove_prefix(close + 1);
  }
  out.append(rest);
  return out;
}

}  // namespace muster::jobs
