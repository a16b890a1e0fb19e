// Package typecheck fills in the status of ValidatingAdmissionPolicies: what a type checker says about their expressions, for the resources
// that they are for, as these are in the workspace of the policy. A policy is checked once for each generation, as in Kubernetes, so a change
// of a definition shows when the policy changes next. The checker itself is server/admission/policy; nothing runs where there is no policy.
package typecheck
