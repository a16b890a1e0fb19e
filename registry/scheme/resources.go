package scheme

import (
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// row is one line of the table of stored resources.
type row struct {
	group, name string
	// version is the one in which objects lie in etcd.
	version string
	// mediaType is how objects lie in etcd.
	mediaType string
	// object and list are the internal types.
	object, list runtime.Object
	// ownInternal says that the group registers an internal version of its own.
	ownInternal bool
}

// resources lists what is stored as typed objects. Events of events.k8s.io are served from the events of the core group
// and therefore not here.
func resources() []row {
	const v1 = "v1"
	kubernetes := func(group, name string, object, list runtime.Object) row {
		return row{group: group, name: name, version: v1, mediaType: runtime.ContentTypeProtobuf, object: object, list: list}
	}
	all := []row{
		kubernetes(corev1.GroupName, "namespaces", &corev1.Namespace{}, &corev1.NamespaceList{}),
		kubernetes(corev1.GroupName, "configmaps", &corev1.ConfigMap{}, &corev1.ConfigMapList{}),
		kubernetes(corev1.GroupName, "secrets", &corev1.Secret{}, &corev1.SecretList{}),
		kubernetes(corev1.GroupName, "serviceaccounts", &corev1.ServiceAccount{}, &corev1.ServiceAccountList{}),
		kubernetes(corev1.GroupName, "events", &corev1.Event{}, &corev1.EventList{}),
		kubernetes(corev1.GroupName, "limitranges", &corev1.LimitRange{}, &corev1.LimitRangeList{}),
		kubernetes(corev1.GroupName, "resourcequotas", &corev1.ResourceQuota{}, &corev1.ResourceQuotaList{}),

		kubernetes(coordinationv1.GroupName, "leases", &coordinationv1.Lease{}, &coordinationv1.LeaseList{}),

		kubernetes(rbacv1.GroupName, "roles", &rbacv1.Role{}, &rbacv1.RoleList{}),
		kubernetes(rbacv1.GroupName, "rolebindings", &rbacv1.RoleBinding{}, &rbacv1.RoleBindingList{}),
		kubernetes(rbacv1.GroupName, "clusterroles", &rbacv1.ClusterRole{}, &rbacv1.ClusterRoleList{}),
		kubernetes(rbacv1.GroupName, "clusterrolebindings", &rbacv1.ClusterRoleBinding{}, &rbacv1.ClusterRoleBindingList{}),

		{
			group: apiextensions.GroupName, name: "customresourcedefinitions", version: v1, mediaType: runtime.ContentTypeProtobuf,
			object: &apiextensions.CustomResourceDefinition{}, list: &apiextensions.CustomResourceDefinitionList{}, ownInternal: true,
		},
	}
	return append(all, ours()...)
}

// kinds is a group of kinds that are registered as __internal without being stored.
type kinds struct {
	group   string
	objects []runtime.Object
}

// unstored lists the kinds that requests carry but etcd never holds.
func unstored() []kinds {
	return []kinds{
		{authenticationv1.GroupName, []runtime.Object{
			&authenticationv1.TokenReview{}, &authenticationv1.TokenRequest{}, &authenticationv1.SelfSubjectReview{},
		}},
		{authorizationv1.GroupName, []runtime.Object{
			&authorizationv1.SubjectAccessReview{}, &authorizationv1.LocalSubjectAccessReview{},
			&authorizationv1.SelfSubjectAccessReview{}, &authorizationv1.SelfSubjectRulesReview{},
		}},
		{autoscalingv1.GroupName, []runtime.Object{&autoscalingv1.Scale{}}},
		// The storage behind events.k8s.io holds core events.
		{eventsv1.GroupName, []runtime.Object{&corev1.Event{}, &corev1.EventList{}}},
	}
}

// addKubernetes registers the versions that clients speak.
func addKubernetes(s *runtime.Scheme) error {
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, rbacv1.AddToScheme, coordinationv1.AddToScheme, eventsv1.AddToScheme,
		authorizationv1.AddToScheme, authenticationv1.AddToScheme, autoscalingv1.AddToScheme,
		// Not through the install package of upstream, which adds v1beta1: nobody is served it.
		apiextensions.AddToScheme, apiextensionsv1.AddToScheme,
	} {
		if err := add(s); err != nil {
			return err
		}
	}
	return nil
}
