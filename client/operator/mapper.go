package operator

import (
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// builtIn are kinds of Kubernetes that each workspace serves.
var builtIn = map[meta.RESTScope]map[schema.GroupVersion][]string{
	meta.RESTScopeNamespace: {
		corev1.SchemeGroupVersion:         {"ConfigMap", "Event", "ResourceQuota", "Secret", "ServiceAccount"},
		coordinationv1.SchemeGroupVersion: {"Lease"},
		rbacv1.SchemeGroupVersion:         {"Role", "RoleBinding"},
	},
	meta.RESTScopeRoot: {
		corev1.SchemeGroupVersion: {"Namespace"},
		rbacv1.SchemeGroupVersion: {"ClusterRole", "ClusterRoleBinding"},
		admissionregistrationv1.SchemeGroupVersion: {
			"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration",
		},
	},
}

// mapper knows what discovery over all clusters shows. That is not all that one cluster serves: the endpoint of an initializer shows only
// LogicalClusters there. So it knows built-in kinds, too.
type mapper struct {
	meta.RESTMapper
	builtIn meta.RESTMapper
}

func newMapper(discovered meta.RESTMapper) *mapper {
	known := meta.NewDefaultRESTMapper(nil)
	for scope, groups := range builtIn {
		for gv, kinds := range groups {
			for _, kind := range kinds {
				known.Add(gv.WithKind(kind), scope)
			}
		}
	}
	return &mapper{RESTMapper: discovered, builtIn: known}
}

// RESTMapping implements meta.RESTMapper.
func (m *mapper) RESTMapping(gk schema.GroupKind, versions ...string) (*meta.RESTMapping, error) {
	mapping, err := m.RESTMapper.RESTMapping(gk, versions...)
	if meta.IsNoMatchError(err) {
		if known, unknown := m.builtIn.RESTMapping(gk, versions...); unknown == nil {
			return known, nil
		}
	}
	return mapping, err
}

// RESTMappings implements meta.RESTMapper.
func (m *mapper) RESTMappings(gk schema.GroupKind, versions ...string) ([]*meta.RESTMapping, error) {
	mappings, err := m.RESTMapper.RESTMappings(gk, versions...)
	if meta.IsNoMatchError(err) {
		if known, unknown := m.builtIn.RESTMappings(gk, versions...); unknown == nil {
			return known, nil
		}
	}
	return mappings, err
}
