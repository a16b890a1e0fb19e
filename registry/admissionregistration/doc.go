// Package admissionregistration is the REST storage of admissionregistration.k8s.io: the configurations of admission webhooks, and
// admission policies with their bindings. Behavior follows Kubernetes. What they do to requests is in server/admission/webhook and
// server/admission/policy.
//
// CEL expressions are compiled before they are stored, with the limits of Kubernetes. An update does not refuse what is stored
// already: an expression that has not changed is compiled by the rules for stored expressions, and conditions that have not changed at all
// are not compiled.
//
// Whether a user may let a policy read its parameters depends on other objects, so server/admission/policy decides that.
package admissionregistration
