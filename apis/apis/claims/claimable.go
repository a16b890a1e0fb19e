package claims

import (
	"slices"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
)

// Support says what becomes of a claim on a resource without an identity.
type Support int

const (
	// Unclaimable is for resources that are not in every workspace, or must not be claimed. Those of another export need its identity.
	Unclaimable Support = iota
	// Stored is for resources whose objects are stored in the workspace of the consumer.
	Stored
	// Review is for questions that are answered and not stored. They can only be created.
	Review
)

// builtin are the resources without an identity by group.
var builtin = map[string]map[string]Support{
	"": {
		"namespaces": Stored, "configmaps": Stored, "events": Stored, "resourcequotas": Stored, "secrets": Stored, "serviceaccounts": Stored,
	},
	"rbac.authorization.k8s.io": {"roles": Stored, "rolebindings": Stored, "clusterroles": Stored, "clusterrolebindings": Stored},
	"certificates.k8s.io":       {"certificatesigningrequests": Stored},
	"coordination.k8s.io":       {"leases": Stored},
	"events.k8s.io":             {"events": Stored},
	"apiextensions.k8s.io":      {"customresourcedefinitions": Stored},
	"core.kcp.io":               {"logicalclusters": Stored},
	"authorization.k8s.io":      {"subjectaccessreviews": Review, "localsubjectaccessreviews": Review},
	"authentication.k8s.io":     {"tokenreviews": Review},
	apisv1alpha2.GroupName:      {"apibindings": Stored, "apiexports": Stored, "apiresourceschemas": Stored, "apiexportendpointslices": Stored, "apiconversions": Stored},
	"admissionregistration.k8s.io": {
		"validatingwebhookconfigurations": Stored, "mutatingwebhookconfigurations": Stored,
		"validatingadmissionpolicies": Stored, "validatingadmissionpolicybindings": Stored,
		"mutatingadmissionpolicies": Stored, "mutatingadmissionpolicybindings": Stored,
	},
}

// SupportOf returns what becomes of a claim on a resource without an identity.
func SupportOf(gr apisv1alpha2.GroupResource) Support { return builtin[gr.Group][gr.Resource] }

// Builtin returns all resources that can be claimed without an identity.
func Builtin() []apisv1alpha2.GroupResource {
	var all []apisv1alpha2.GroupResource
	for group, resources := range builtin {
		for resource, support := range resources {
			if support == Stored || support == Review {
				all = append(all, apisv1alpha2.GroupResource{Group: group, Resource: resource})
			}
		}
	}
	slices.SortFunc(all, func(a, b apisv1alpha2.GroupResource) int { return compare(a, b) })
	return all
}

// Equivalent returns the resources whose objects are those of gr: the events of both groups are the same.
func Equivalent(gr apisv1alpha2.GroupResource) []apisv1alpha2.GroupResource {
	if gr.Resource == "events" && (gr.Group == "" || gr.Group == "events.k8s.io") {
		return []apisv1alpha2.GroupResource{{Resource: "events"}, {Group: "events.k8s.io", Resource: "events"}}
	}
	return []apisv1alpha2.GroupResource{gr}
}
