// SPDX-License-Identifier: Apache-2.0
#include "domain/jobs/outlook/preview.h"

#include <algorithm>
#include <map>

#include "base/text.h"
#include "domain/jobs/documents.h"
#include "domain/jobs/engine.h"
#include "domain/jobs/pending.h"
#include "domain/jobs/rollout.h"
#include "domain/registry/groups.h"
#include "domain/registry/things.h"
#include "domain/security/certificates.h"
#include "domain/security/principals.h"

namespace muster::jobs {

namespace {

constexpr std::size_t kExamples = 3;
constexpr std::size_t kPendingLookedAt = 20;
constexpr std::size_t kCertificatesOfThing = 10;
constexpr std::size_t kTargetsInWords = 3;

std::string number(std::int64_t n) {
  return std::to_string(n);
}
std::string counted(std::int64_t n, std::string_view noun) {
  return number(n) + " " + std::string(noun) + (n == 1 ? "" : "s");
}
std::string time_text(std::int64_t ms) {
  return to_iso8601(ms, false);
}

// Things of the targets, each with the number of targets in which it was met; an equal share of each target.
struct Looked {
  std::map<std::string, std::int64_t> things;
  bool sampled = false;
};
Result<Looked> look_at(const Context& context, store::Tx& tx, const Job& job) {
  Looked looked;
  const std::size_t share = std::max<std::size_t>(kPreviewThings / std::max<std::size_t>(job.targets.size(), 1), 1);
  for (const auto& arn : job.targets) {
    if (const auto thing = name_in_iot_arn(context.realm, "thing", arn)) {
      ++looked.things[*thing];
      continue;
    }
    const auto group = name_in_iot_arn(context.realm, "thinggroup", arn);
    if (!group || !registry::find_group(tx, *group)) continue;  // deleted since
    std::string cursor;
    std::size_t room = share;
    do {
      TRY(const auto page, registry::for_each_member(tx, *group, true, cursor, room, true));
      for (const auto& thing : page.things) ++looked.things[thing];
      room -= page.things.size();
      cursor = page.next;
    } while (!cursor.empty() && room > 0);
    if (!cursor.empty()) looked.sampled = true;
  }
  return looked;
}

Status look_at_queue(store::Tx& tx, const Job& job, const std::string& thing, Preview& preview) {
  TRY(auto entries, read_pending(tx, thing, kPendingLookedAt));
  std::erase_if(entries, [&](const PendingEntry& entry) { return entry.job == job.id; });
  const auto in_progress = [](const PendingEntry& e) { return e.status == ExecutionStatus::kInProgress; };
  const auto ahead = [&](const PendingEntry& e) { return !in_progress(e) && e.priority > job.controls.priority; };
  if (std::ranges::any_of(entries, in_progress)) preview.in_progress.add(thing);
  if (std::ranges::any_of(entries, ahead)) preview.behind.add(thing);
  if (entries.size() >= kCrowded) preview.crowded.add(thing);
  return {};
}

Result<SampledThing> sampled_thing(const Context& context, store::Tx& tx, const std::string& thing) {
  SampledThing sampled{thing, {}};
  TRY(const auto page, security::list_thing_principals(tx, thing, {.token = {}, .limit = kCertificatesOfThing}));
  for (const auto& arn : page.items) {
    if (auto id = security::certificate_in_arn(context.realm, arn)) sampled.certificate_ids.push_back(*std::move(id));
  }
  return sampled;
}

Result<Preview> look(const Context& context, store::Tx& tx, const Job& job) {
  Preview preview;
  for (const auto& arn : job.targets) {
    preview.targets.push_back({arn, fleet_size(context, tx, {arn})});
    preview.things += preview.targets.back().things;
  }
  preview.concurrency_full = concurrent_jobs(tx) >= context.limits.max_concurrent_jobs;
  TRY(const Looked looked, look_at(context, tx, job));
  preview.sampled = looked.sampled;
  for (const auto& [thing, times] : looked.things) {
    if (!looked.sampled && !registry::thing_exists(tx, thing)) continue;
    if (times > 1) ++preview.overlaps;
    TRY(auto one, sampled_thing(context, tx, thing));
    preview.sample.push_back(std::move(one));
    TRY_VOID(look_at_queue(tx, job, thing, preview));
  }
  return preview;
}

std::string role_problem(const Context& context, store::Tx& tx, const Job& job) {
  const auto text = document_text(tx, job.id);
  if (!text) return {};
  const auto document = compile_document(context, *text);
  if (!document || !document->has_placeholders() || !job.presign) return {};
  const PresignRequest request{document->urls.front(), job.presign->role_arn, job.id, "GET",
                               job.presign->expires_seconds};
  const auto signed_url = context.sign_url(tx, request);
  return signed_url ? "" : signed_url.error().message;
}

// ---- words

std::string examples_text(const Concerned& things) {
  std::string text;
  for (const auto& name : things.examples) text += (text.empty() ? " (" : ", ") + name;
  if (text.empty()) return text;
  return text + (things.count > static_cast<std::int64_t>(things.examples.size()) ? ", ...)" : ")");
}

std::string of_sample(const Preview& preview) {
  const auto looked = static_cast<std::int64_t>(preview.sample.size());
  return " of " + (preview.sampled ? "the " + number(looked) + " things looked at" : counted(looked, "thing"));
}

Finding explain_targets(const Preview& preview) {
  Finding finding{"preview.targets", "", {}};
  std::string names;
  for (std::size_t i = 0; i < preview.targets.size() && i < kTargetsInWords; ++i) {
    const auto& target = preview.targets[i];
    names += (names.empty() ? "" : ", ") + target.arn.substr(target.arn.rfind(':') + 1);
    if (target.arn.find(":thinggroup/") != std::string::npos) names += " with " + counted(target.things, "thing");
  }
  if (preview.targets.size() > kTargetsInWords) names += ", ...";
  finding.sentence = counted(static_cast<std::int64_t>(preview.targets.size()), "target") + ": " + names + ".";
  if (preview.overlaps > 0) {
    finding.sentence += " " + counted(preview.overlaps, "thing") + " in more than one target" +
                        (preview.sampled ? of_sample(preview) : "") + ", each gets one execution.";
  }
  finding.facts = {{"targets", number(static_cast<std::int64_t>(preview.targets.size()))},
                   {"things", number(preview.things)},
                   {"overlaps", number(preview.overlaps)},
                   {"lookedAt", number(static_cast<std::int64_t>(preview.sample.size()))},
                   {"sampled", preview.sampled ? "true" : "false"}};
  return finding;
}

Finding explain_executions(const Preview& preview) {
  Finding finding{"preview.executions", "", {{"executions", number(preview.executions)}}};
  finding.sentence = (preview.sampled ? "At most " : "") + counted(preview.executions, "execution") +
                     (preview.executions == 1 ? " is" : " are") + " to be created";
  if (preview.sampled) {
    finding.sentence += "; only " + counted(static_cast<std::int64_t>(preview.sample.size()), "thing") +
                        " were looked at, what follows is about them";
  }
  finding.sentence += ".";
  return finding;
}

std::string rate_text(std::int64_t rate) {
  return rate == 0 ? "all at once" : "at up to " + number(rate) + " a minute";
}

Finding explain_finish(const Forecast& rollout) {
  if (rollout.starts_ms == 0) {
    if (rollout.ended) return {"preview.finish.ended", "The schedule has ended: nothing more is rolled out.", {}};
    return {"preview.finish.none", "Nothing is left to roll out.", {}};
  }
  Finding finding{"preview.finish", "", {}};
  finding.facts = {{"start", time_text(rollout.starts_ms)}, {"peakRatePerMinute", number(rollout.peak_rate)}};
  finding.sentence = "The rollout starts at " + time_text(rollout.starts_ms) + ", " + rate_text(rollout.peak_rate);
  if (rollout.finishes_ms != 0) {
    finding.facts["finish"] = time_text(rollout.finishes_ms);
    finding.sentence += std::string(", and has queued the last execution at ") + (rollout.approximate ? "about " : "") +
                        time_text(rollout.finishes_ms);
  } else if (rollout.ended) {
    finding.code = "preview.finish.cut_off";
    finding.facts["leftOut"] = number(rollout.left_out);
    finding.sentence += ", and the end of the schedule leaves out " + counted(rollout.left_out, "execution");
  } else {
    finding.sentence += ", and its finish cannot be foreseen";
  }
  finding.sentence += ", if executions succeed and nobody interferes.";
  return finding;
}

void explain_people(const Job& job, const Forecast& rollout, Findings& findings) {
  if (rollout.assumed_approval) {
    findings.push_back(
        {"preview.approval", "It waits for approval first (tag muster:approval=approved, or muster job approve).", {}});
  }
  if (rollout.assumed_resume)
    findings.push_back({"preview.paused", "It is paused; the times are those after a resume now.", {}});
  if (job.controls.gates.size() > job.controls.gates_continued) {
    const auto ahead = static_cast<std::int64_t>(job.controls.gates.size() - job.controls.gates_continued);
    findings.push_back({"preview.gates",
                        "It holds at " + counted(ahead, "gate") + " on the way, which the times leave out.",
                        {{"gates", number(ahead)}}});
  }
}

void explain_offline(const Preview& preview, Findings& findings) {
  if (!preview.offline || preview.sample.empty()) return;
  const auto looked = static_cast<std::int64_t>(preview.sample.size());
  findings.push_back({"preview.offline",
                      number(*preview.offline) + of_sample(preview) + " (" + number(*preview.offline * 100 / looked) +
                          "%) are offline now.",
                      {{"offline", number(*preview.offline)}, {"lookedAt", number(looked)}}});
}

void explain_conflict(std::string_view code, const Preview& preview, const Concerned& things, std::string_view what,
                      Findings& findings) {
  if (things.count == 0) return;
  findings.push_back({std::string(code),
                      number(things.count) + of_sample(preview) + " " + std::string(what) + examples_text(things) + ".",
                      {{"things", number(things.count)}}});
}

}  // namespace

void Concerned::add(const std::string& thing) {
  ++count;
  if (examples.size() < kExamples) examples.push_back(thing);
}

Result<Job> planned_job(const Context& context, store::Tx& tx, const NewJob& request) {
  if (request.targets.empty()) return invalid("A job must have at least one target.");
  if (request.targets.size() > context.limits.max_targets) {
    return invalid("A job can have at most " + std::to_string(context.limits.max_targets) + " targets.");
  }
  Job job;
  job.id = request.id;
  for (const auto& arn : request.targets) {
    const auto thing = name_in_iot_arn(context.realm, "thing", arn);
    const auto group = name_in_iot_arn(context.realm, "thinggroup", arn);
    if (!(thing && registry::thing_exists(tx, *thing)) && !(group && registry::find_group(tx, *group))) {
      return not_found("Target " + arn + " cannot be found.");
    }
    if (std::ranges::find(job.targets, arn) == job.targets.end()) job.targets.push_back(arn);
  }
  job.status = JobStatus::kScheduled;
  job.selection = request.selection.value_or(Selection::kSnapshot);
  job.rollout = request.rollout;
  job.abort = request.abort;
  job.schedule = request.schedule;
  job.controls = request.controls;
  job.controls.dry_run = false;
  job.created_ms = job.updated_ms = tx.now_ms();
  return job;
}

Result<Preview> preview_new_job(const Context& context, store::Tx& tx, const Job& job) {
  TRY(Preview preview, look(context, tx, job));
  preview.executions = preview.sampled ? preview.things : static_cast<std::int64_t>(preview.sample.size());
  Facts facts;
  facts.rollout.fleet = preview.things;
  preview.rollout = forecast(job, facts, preview.executions, tx.now_ms());
  return preview;
}

Result<Preview> preview_job(const Context& context, store::Tx& tx, std::string_view job_id) {
  TRY(const auto job, get_job(context, tx, job_id));
  TRY(Preview preview, look(context, tx, *job));
  TRY(const Facts facts, read_facts(context, tx, *job));
  if (job->is_active()) {
    const std::int64_t all = preview.sampled ? preview.things : static_cast<std::int64_t>(preview.sample.size());
    preview.executions = left_to_roll_out(*job, facts, all);
    preview.role_problem = role_problem(context, tx, *job);
  }
  preview.rollout = forecast(*job, facts, preview.executions, tx.now_ms());
  return preview;
}

std::int64_t left_to_roll_out(const Job& job, const Facts& facts, std::int64_t fleet) {
  if (job.rolled_out) return 0;
  const bool kept = job.rollout || !job.controls.gates.empty();
  return std::max<std::int64_t>(fleet - (kept ? facts.rollout.notified : facts.counts.all()), 0);
}

Findings explain(const Job& job, const Preview& preview) {
  Findings findings;
  findings.push_back(explain_targets(preview));
  findings.push_back(explain_executions(preview));
  findings.push_back(explain_finish(preview.rollout));
  explain_people(job, preview.rollout, findings);
  if (preview.concurrency_full && preview.executions > 0) {
    findings.push_back({"preview.concurrency",
                        "As many jobs as may are rolling out or being canceled now: it has to wait for one of them, "
                        "which the times leave out, or is refused when it is to start at once.",
                        {}});
  }
  if (!job.schedule.windows.empty()) {
    findings.push_back({"preview.windows", "Outside its maintenance windows nothing is queued or offered.", {}});
  }
  explain_offline(preview, findings);
  explain_conflict("preview.in_progress", preview, preview.in_progress, "have another job's execution in progress",
                   findings);
  explain_conflict("preview.behind", preview, preview.behind, "have executions of higher priority queued", findings);
  explain_conflict("preview.crowded", preview, preview.crowded,
                   "have " + std::to_string(kCrowded) + " or more executions pending", findings);
  if (!preview.role_problem.empty()) {
    findings.push_back({"preview.role",
                        "Devices would get no URLs: " + preview.role_problem,
                        {{"role", job.presign ? job.presign->role_arn : ""}}});
  }
  return findings;
}

}  // namespace muster::jobs
