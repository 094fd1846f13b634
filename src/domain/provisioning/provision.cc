// SPDX-License-Identifier: Apache-2.0
#include "domain/provisioning/provision.h"

#include <algorithm>

#include "domain/registry/attributes.h"
#include "domain/registry/billing_groups.h"
#include "domain/registry/dynamic_groups.h"
#include "domain/registry/groups.h"
#include "domain/security/policies.h"
#include "domain/security/principals.h"
#include "domain/security/registration.h"

namespace muster::provisioning {

namespace {

using security::CertificateStatus;
using store::Tx;

Error conflict(std::string message) {
  return make_error(ErrorKind::kConflict, std::move(message), "ResourceRegistrationFailureException");
}

class Run {
 public:
  Run(const Context& context, Tx& tx, Rights& rights, Effects& effects, registry::GroupsRead* groups)
      : context_(context), tx_(tx), rights_(rights), effects_(effects), groups_(groups) {}

  Result<Provisioned> all(const Plan& plan, const Material& material) {
    if (plan.certificate) TRY_VOID(certificate(*plan.certificate, material));
    if (plan.thing) TRY_VOID(thing(*plan.thing));
    for (const PolicyPlan& one : plan.policies) TRY_VOID(policy(one));
    if (plan.thing && plan.certificate) {
      // On the certificate as the operation does, and on the thing as well.
      TRY_VOID(rights_.allow(tx_, "iot:AttachThingPrincipal",
                             {certificate_arn_, registry::thing_arn(realm(), done_.thing_name)}));
      TRY_VOID(security::attach_thing_principal(tx_, realm(), done_.thing_name, certificate_arn_));
    }
    return std::move(done_);
  }

 private:
  const Realm& realm() const { return context_.realm; }

  Status certificate(const CertificatePlan& plan, const Material& material) {
    std::optional<security::Certificate> found;
    if (material.certificate) {
      done_.certificate_id = material.certificate->id;
      found = security::find_certificate(tx_, done_.certificate_id);
      if (!found) {
        TRY(found, register_new(plan, *material.certificate));
      }
    } else {
      done_.certificate_id = plan.id;
      TRY(found, security::get_certificate(tx_, plan.id));
    }
    certificate_arn_ = security::certificate_arn(realm(), done_.certificate_id);
    TRY_VOID(set_status(*found, plan));
    done_.certificate_pem = found->pem;
    done_.resource_arns[plan.logical_name] = certificate_arn_;
    return {};
  }

  Result<security::Certificate> register_new(const CertificatePlan& plan, const x509::Certificate& parsed) {
    if (!plan.request.empty()) {
      TRY_VOID(rights_.allow(tx_, "iot:CreateCertificateFromCsr", {"*"}));
      return security::register_certificate(tx_, realm(), security::record_of(parsed, plan.status));
    }
    TRY_VOID(rights_.allow(tx_, "iot:RegisterCertificate", {"*"}));
    return security::register_with_ca(tx_, realm(), plan.pem, plan.ca_pem, plan.status);
  }

  Status set_status(const security::Certificate& found, const CertificatePlan& plan) {
    if (found.status == plan.status) return {};
    const bool waits =
        found.status == CertificateStatus::kPendingActivation || found.status == CertificateStatus::kRegisterInactive;
    const bool settable =
        waits || found.status == CertificateStatus::kActive || found.status == CertificateStatus::kInactive;
    if (!settable) {
      return conflict("The certificate is " + std::string(security::to_string(found.status)) +
                      " (certificateId=" + found.id + ")");
    }
    if (!waits && plan.on_status == Override::kDoNothing) return {};
    if (!waits && plan.on_status == Override::kFail) {
      return conflict("The certificate exists with status " + std::string(security::to_string(found.status)) +
                      " (certificateId=" + found.id + ")");
    }
    TRY_VOID(rights_.allow(tx_, "iot:UpdateCertificate", {certificate_arn_}));
    TRY_VOID(security::update_certificate(tx_, found.id, plan.status));
    return {};
  }

  Status thing(const ThingPlan& plan) {
    const std::string& name = done_.thing_name = plan.thing.name;
    const std::string arn = registry::thing_arn(realm(), name);
    const auto existing = registry::find_thing(tx_, name);
    const bool dynamic = registry::has_dynamic_groups(tx_);
    registry::MembershipChange change{.thing = name, .before = {}, .after = {}};
    if (existing) {
      change.before = registry::groups_of_thing_with_ancestors(tx_, name);
      TRY_VOID(change_thing(*existing, plan, arn));
    } else {
      std::vector<std::string> resources{arn};
      if (!plan.thing.billing_group.empty()) {
        resources.push_back(registry::billing_group_arn(realm(), plan.thing.billing_group));
      }
      TRY_VOID(rights_.allow(tx_, "iot:CreateThing", resources));
      TRY_VOID(registry::create_thing(tx_, realm(), plan.thing));
    }
    TRY(const auto moves, moves_of(plan, existing.has_value()));
    if (!moves.add.empty() || !moves.remove.empty()) {
      TRY_VOID(allow_moves("iot:AddThingToThingGroup", moves.add, arn));
      TRY_VOID(allow_moves("iot:RemoveThingFromThingGroup", moves.remove, arn));
      TRY(auto moved, existing ? registry::update_groups_of_thing(tx_, moves)
                               : registry::join_groups_of_new_thing(tx_, name, moves.add, groups_));
      change.after = std::move(moved.after);
    } else if (existing || dynamic) {
      change.after = registry::groups_of_thing_with_ancestors(tx_, name);
    }
    if (change.before != change.after && context_.follow) TRY_VOID(context_.follow(tx_, change, effects_));
    done_.resource_arns[plan.logical_name] = arn;
    return {};
  }

  // Attributes, type and billing group of a thing that is there.
  Status change_thing(const registry::Thing& existing, const ThingPlan& plan, const std::string& arn) {
    registry::UpdateThing update{.name = existing.name};
    if (plan.has_attributes && plan.attributes != Override::kDoNothing) {
      update.merge = plan.attributes == Override::kMerge;
      TRY(const auto wanted, registry::changed_attributes(existing.attributes, plan.thing.attributes, update.merge));
      if (wanted != existing.attributes) {
        if (plan.attributes == Override::kFail) {
          return conflict("Thing " + existing.name + " exists with other attributes");
        }
        update.attributes = plan.thing.attributes;
      }
    }
    if (!plan.thing.type.empty() && plan.thing.type != existing.type && plan.type != Override::kDoNothing) {
      if (plan.type == Override::kFail) return conflict("Thing " + existing.name + " exists with another thing type");
      update.type = plan.thing.type;
    }
    if (update.attributes || update.type) {
      TRY_VOID(rights_.allow(tx_, "iot:UpdateThing", {arn}));
      TRY_VOID(registry::update_thing(tx_, update));
    }
    // It has no setting: a thing without one joins, and none is taken from where it is.
    const std::string& group = plan.thing.billing_group;
    if (group.empty() || !existing.billing_group.empty()) return {};
    TRY_VOID(rights_.allow(tx_, "iot:AddThingToBillingGroup", {arn, registry::billing_group_arn(realm(), group)}));
    return registry::add_thing_to_billing_group(tx_, group, existing.name);
  }

  Result<registry::UpdateGroupsOfThing> moves_of(const ThingPlan& plan, bool existing) {
    registry::UpdateGroupsOfThing moves{.thing = plan.thing.name};
    if (!plan.has_groups) return moves;
    if (!existing) {
      moves.add = plan.groups;
      return moves;
    }
    if (plan.memberships == Override::kDoNothing) return moves;
    const auto has = [](const std::vector<std::string>& list, const std::string& name) {
      return std::ranges::find(list, name) != list.end();
    };
    const auto current = registry::groups_of_thing(tx_, plan.thing.name);
    for (const std::string& group : plan.groups) {
      if (!has(current, group)) moves.add.push_back(group);
    }
    for (const std::string& group : current) {
      if (plan.memberships == Override::kMerge || has(plan.groups, group)) continue;
      const auto record = registry::find_group(tx_, group);
      if (record && !record->is_dynamic()) moves.remove.push_back(group);
    }
    if (plan.memberships == Override::kFail && (!moves.add.empty() || !moves.remove.empty())) {
      return conflict("Thing " + plan.thing.name + " exists in other thing groups");
    }
    return moves;
  }

  Status allow_moves(std::string_view action, const std::vector<std::string>& groups, const std::string& thing) {
    if (groups.empty()) return {};
    std::vector<std::string> resources{thing};
    for (const std::string& group : groups) resources.push_back(registry::group_arn(realm(), group));
    return rights_.allow(tx_, action, resources);
  }

  Status policy(const PolicyPlan& plan) {
    const auto existing = security::find_policy(tx_, plan.name);
    const std::string arn = security::policy_arn(realm(), plan.name);
    if (plan.document.empty()) {
      TRY_VOID(security::get_policy(tx_, plan.name));
    } else if (!existing) {
      TRY_VOID(rights_.allow(tx_, "iot:CreatePolicy", {arn}));
      TRY_VOID(security::create_policy(tx_, realm(), plan.name, plan.document));
    } else if (existing->current().document != plan.document) {
      return conflict("Policy " + plan.name + " exists with another document");
    }
    TRY_VOID(rights_.allow(tx_, "iot:AttachPolicy", {certificate_arn_}));
    TRY_VOID(security::attach_policy(tx_, realm(), plan.name, certificate_arn_));
    done_.resource_arns[plan.logical_name] = arn;
    return {};
  }

  const Context& context_;
  Tx& tx_;
  Rights& rights_;
  Effects& effects_;
  registry::GroupsRead* const groups_;
  Provisioned done_;
  std::string certificate_arn_;
};

}  // namespace

Result<Material> prepare(const Context& context, const Plan& plan, std::int64_t now_ms) {
  Material material;
  if (!plan.certificate) return material;
  if (!plan.certificate->request.empty()) {
    if (context.authority == nullptr) return make_error(ErrorKind::kUnavailable, "There is no device CA.");
    const x509::Validity validity{now_ms - kCertificateBackdatedMs, kCertificateNotAfterMs};
    TRY(x509::Issued issued, context.authority->sign_request(plan.certificate->request, validity));
    material.certificate = std::move(issued.certificate);
  } else if (!plan.certificate->pem.empty()) {
    TRY(material.certificate, x509::parse_pem(plan.certificate->pem));
  } else if (plan.certificate->id.empty()) {
    return invalid("The certificate of the template has no value");
  }
  return material;
}

Result<Provisioned> provision(const Context& context, Tx& tx, const Plan& plan, const Material& material,
                              Rights& rights, Effects& effects, registry::GroupsRead* groups) {
  return Run(context, tx, rights, effects, groups).all(plan, material);
}

}  // namespace muster::provisioning
