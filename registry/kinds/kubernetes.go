package kinds

import (
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/annex-dev/annex/registry/kinds/k8s"
)

type adders []func(*runtime.Scheme) error

// kubernetesGroups are the groups of Kubernetes. Every workspace serves them.
func kubernetesGroups() []Group {
	return []Group{
		{Name: corev1.GroupName, Register: adders{corev1.AddToScheme, k8s.AddCore}, Open: true, Rows: coreRows()},
		{Name: eventsv1.GroupName, Register: adders{eventsv1.AddToScheme, k8s.AddEvents}, Open: true, Rows: []Row{
			// These are the events of the core group, under another name.
			unstored(Row{Resource: "events", Singular: "event", ShortNames: []string{"ev"}, Namespaced: true, Object: &corev1.Event{}, List: &corev1.EventList{}}),
		}},
		{Name: coordinationv1.GroupName, Register: adders{coordinationv1.AddToScheme}, Open: true, Rows: []Row{
			stored(Row{Resource: "leases", Singular: "lease", Namespaced: true, Object: &coordinationv1.Lease{}, List: &coordinationv1.LeaseList{}, Status: NoStatus, Apart: true}),
		}},
		{Name: rbacv1.GroupName, Register: adders{rbacv1.AddToScheme, k8s.AddRBAC}, Open: true, Rows: []Row{
			stored(Row{Resource: "roles", Singular: "role", Namespaced: true, Object: &rbacv1.Role{}, List: &rbacv1.RoleList{}, Status: NoStatus}),
			stored(Row{Resource: "rolebindings", Singular: "rolebinding", Namespaced: true, Object: &rbacv1.RoleBinding{}, List: &rbacv1.RoleBindingList{}, Status: NoStatus}),
			stored(Row{Resource: "clusterroles", Singular: "clusterrole", Object: &rbacv1.ClusterRole{}, List: &rbacv1.ClusterRoleList{}, Status: NoStatus}),
			stored(Row{Resource: "clusterrolebindings", Singular: "clusterrolebinding", Object: &rbacv1.ClusterRoleBinding{}, List: &rbacv1.ClusterRoleBindingList{}, Status: NoStatus}),
		}},
		{Name: admissionregistrationv1.GroupName, Register: adders{admissionregistrationv1.AddToScheme, k8s.AddAdmission}, Open: true, Rows: admissionRows()},
		{Name: authorizationv1.GroupName, Register: adders{authorizationv1.AddToScheme}, Open: true, Rows: []Row{
			unstored(Row{Resource: "subjectaccessreviews", Singular: "subjectaccessreview", Object: &authorizationv1.SubjectAccessReview{}}),
			unstored(Row{Resource: "selfsubjectaccessreviews", Singular: "selfsubjectaccessreview", Object: &authorizationv1.SelfSubjectAccessReview{}}),
			unstored(Row{Resource: "localsubjectaccessreviews", Singular: "localsubjectaccessreview", Namespaced: true, Object: &authorizationv1.LocalSubjectAccessReview{}}),
			unstored(Row{Resource: "selfsubjectrulesreviews", Singular: "selfsubjectrulesreview", Object: &authorizationv1.SelfSubjectRulesReview{}}),
		}},
		{Name: authenticationv1.GroupName, Register: adders{authenticationv1.AddToScheme, k8s.AddAuthentication}, Open: true, Carried: []runtime.Object{&authenticationv1.TokenRequest{}}, Rows: []Row{
			unstored(Row{Resource: "selfsubjectreviews", Singular: "selfsubjectreview", Object: &authenticationv1.SelfSubjectReview{}}),
			unstored(Row{Resource: "tokenreviews", Singular: "tokenreview", Object: &authenticationv1.TokenReview{}}),
		}},
		{Name: certificatesv1.GroupName, Register: adders{k8s.AddCertificates}, Open: true, Rows: []Row{
			stored(Row{Resource: "certificatesigningrequests", Singular: "certificatesigningrequest", ShortNames: []string{"csr"}, Object: &certificatesv1.CertificateSigningRequest{}, List: &certificatesv1.CertificateSigningRequestList{}, Status: ByUsers}),
		}},
		{Name: autoscalingv1.GroupName, Register: adders{autoscalingv1.AddToScheme}, Open: true, Carried: []runtime.Object{&autoscalingv1.Scale{}}},
		// Registered without the install package of upstream, which adds v1beta1: nobody is served that version.
		{Name: apiextensions.GroupName, Register: adders{apiextensions.AddToScheme, apiextensionsv1.AddToScheme}, Internal: true, Open: true, Rows: []Row{
			stored(Row{
				Resource: "customresourcedefinitions", Singular: "customresourcedefinition", ShortNames: []string{"crd", "crds"}, Categories: []string{"api-extensions"},
				Object: &apiextensions.CustomResourceDefinition{}, List: &apiextensions.CustomResourceDefinitionList{}, Status: ByUsers,
			}),
		}},
	}
}

func coreRows() []Row {
	return []Row{
		stored(Row{Resource: "namespaces", Singular: "namespace", ShortNames: []string{"ns"}, Object: &corev1.Namespace{}, List: &corev1.NamespaceList{}, Status: ByUsers}),
		stored(Row{Resource: "configmaps", Singular: "configmap", ShortNames: []string{"cm"}, Namespaced: true, Object: &corev1.ConfigMap{}, List: &corev1.ConfigMapList{}, Status: NoStatus}),
		stored(Row{Resource: "secrets", Singular: "secret", Namespaced: true, Object: &corev1.Secret{}, List: &corev1.SecretList{}, Status: NoStatus, Apart: true}),
		stored(Row{Resource: "serviceaccounts", Singular: "serviceaccount", ShortNames: []string{"sa"}, Namespaced: true, Object: &corev1.ServiceAccount{}, List: &corev1.ServiceAccountList{}, Status: NoStatus}),
		stored(Row{Resource: "events", Singular: "event", ShortNames: []string{"ev"}, Namespaced: true, Object: &corev1.Event{}, List: &corev1.EventList{}, Status: NoStatus, Apart: true}),
		stored(Row{Resource: "limitranges", Singular: "limitrange", ShortNames: []string{"limits"}, Namespaced: true, Object: &corev1.LimitRange{}, List: &corev1.LimitRangeList{}, Status: NoStatus, Apart: true}),
		stored(Row{Resource: "resourcequotas", Singular: "resourcequota", ShortNames: []string{"quota"}, Namespaced: true, Object: &corev1.ResourceQuota{}, List: &corev1.ResourceQuotaList{}, Status: ByUsers}),
	}
}

func admissionRows() []Row {
	return []Row{
		stored(Row{Resource: "validatingwebhookconfigurations", Singular: "validatingwebhookconfiguration", Categories: []string{"api-extensions"}, Object: &admissionregistrationv1.ValidatingWebhookConfiguration{}, List: &admissionregistrationv1.ValidatingWebhookConfigurationList{}, Status: NoStatus}),
		stored(Row{Resource: "mutatingwebhookconfigurations", Singular: "mutatingwebhookconfiguration", Categories: []string{"api-extensions"}, Object: &admissionregistrationv1.MutatingWebhookConfiguration{}, List: &admissionregistrationv1.MutatingWebhookConfigurationList{}, Status: NoStatus}),
		stored(Row{Resource: "validatingadmissionpolicies", Singular: "validatingadmissionpolicy", Categories: []string{"api-extensions"}, Object: &admissionregistrationv1.ValidatingAdmissionPolicy{}, List: &admissionregistrationv1.ValidatingAdmissionPolicyList{}, Status: ByUsers}),
		stored(Row{Resource: "validatingadmissionpolicybindings", Singular: "validatingadmissionpolicybinding", Categories: []string{"api-extensions"}, Object: &admissionregistrationv1.ValidatingAdmissionPolicyBinding{}, List: &admissionregistrationv1.ValidatingAdmissionPolicyBindingList{}, Status: NoStatus}),
		stored(Row{Resource: "mutatingadmissionpolicies", Singular: "mutatingadmissionpolicy", Categories: []string{"api-extensions"}, Object: &admissionregistrationv1.MutatingAdmissionPolicy{}, List: &admissionregistrationv1.MutatingAdmissionPolicyList{}, Status: NoStatus}),
		stored(Row{Resource: "mutatingadmissionpolicybindings", Singular: "mutatingadmissionpolicybinding", Categories: []string{"api-extensions"}, Object: &admissionregistrationv1.MutatingAdmissionPolicyBinding{}, List: &admissionregistrationv1.MutatingAdmissionPolicyBindingList{}, Status: NoStatus}),
	}
}

// stored completes the row of a kind of Kubernetes.
func stored(r Row) Row {
	r.Versions, r.MediaType, r.Serving = []string{"v1"}, runtime.ContentTypeProtobuf, Everywhere
	return r
}

// unstored completes the row of a kind of Kubernetes that is not stored under its name.
func unstored(r Row) Row {
	r.Versions, r.Serving, r.Status = []string{"v1"}, Everywhere, NoStatus
	return r
}
