package k8s

import (
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
)

// AddCore adds what belongs to the core group. Defaults run whenever an object is decoded, from a request or from storage, and
// leave an object alone that they have seen before.
func AddCore(s *runtime.Scheme) error {
	addDefault(s, defaultNamespace)
	addDefault(s, defaultSecret)
	addDefault(s, defaultLimitRange)
	addDefault(s, defaultResourceQuota)
	return addCoreLabels(s)
}

// AddRBAC adds what belongs to rbac.authorization.k8s.io.
func AddRBAC(s *runtime.Scheme) error {
	addDefault(s, defaultRoleBinding)
	addDefault(s, defaultClusterRoleBinding)
	return nil
}

// AddAuthentication adds what belongs to authentication.k8s.io.
func AddAuthentication(s *runtime.Scheme) error {
	addDefault(s, func(request *authenticationv1.TokenRequest) {
		if request.Spec.ExpirationSeconds == nil {
			request.Spec.ExpirationSeconds = ptr.To[int64](60 * 60)
		}
	})
	return nil
}

// addDefault registers set for the type that T points to.
func addDefault[T any, P interface {
	*T
	runtime.Object
}](s *runtime.Scheme, set func(P)) {
	s.AddTypeDefaultingFunc(P(new(T)), func(obj any) { set(obj.(P)) })
}

// defaultNamespace adds the label by which selectors find a namespace by name. A name that is still to be generated gets
// its label in the strategy.
func defaultNamespace(ns *corev1.Namespace) {
	if ns.Name != "" && ns.Labels[corev1.LabelMetadataName] != ns.Name {
		if ns.Labels == nil {
			ns.Labels = map[string]string{}
		}
		ns.Labels[corev1.LabelMetadataName] = ns.Name
	}
	if ns.Status.Phase == "" {
		ns.Status.Phase = corev1.NamespaceActive
	}
}

// defaultSecret fills in the type and moves stringData, which can only be written, into data. Doing so on decoding keeps
// stringData out of field ownership, as Kubernetes does.
func defaultSecret(secret *corev1.Secret) {
	if secret.Type == "" {
		secret.Type = corev1.SecretTypeOpaque
	}
	if len(secret.StringData) > 0 && secret.Data == nil {
		secret.Data = make(map[string][]byte, len(secret.StringData))
	}
	for key, value := range secret.StringData {
		secret.Data[key] = []byte(value)
	}
	secret.StringData = nil
}

// defaultLimitRange derives missing container limits from max, and missing requests from the limit or else from min.
func defaultLimitRange(limits *corev1.LimitRange) {
	for i := range limits.Spec.Limits {
		item := &limits.Spec.Limits[i]
		if item.Type == corev1.LimitTypeContainer {
			item.Default = fillIn(item.Default, item.Max)
			item.DefaultRequest = fillIn(fillIn(item.DefaultRequest, item.Default), item.Min)
		}
		for _, list := range []corev1.ResourceList{item.Max, item.Min, item.Default, item.DefaultRequest, item.MaxLimitRequestRatio} {
			roundUp(list)
		}
	}
}

func defaultResourceQuota(quota *corev1.ResourceQuota) {
	roundUp(quota.Spec.Hard)
	roundUp(quota.Status.Hard)
	roundUp(quota.Status.Used)
}

// fillIn returns list with the entries of from that it lacks.
func fillIn(list, from corev1.ResourceList) corev1.ResourceList {
	for name, quantity := range from {
		if _, ok := list[name]; ok {
			continue
		}
		if list == nil {
			list = corev1.ResourceList{}
		}
		list[name] = quantity.DeepCopy()
	}
	return list
}

// roundUp brings quantities to a whole number of thousandths, the finest that the API carries.
func roundUp(list corev1.ResourceList) {
	for name, quantity := range list {
		quantity.RoundUp(resource.Milli)
		list[name] = quantity
	}
}

func defaultRoleBinding(binding *rbacv1.RoleBinding) {
	defaultReference(&binding.RoleRef, binding.Subjects)
}

func defaultClusterRoleBinding(binding *rbacv1.ClusterRoleBinding) {
	defaultReference(&binding.RoleRef, binding.Subjects)
}

// defaultReference fills in the API groups that a binding may leave out.
func defaultReference(ref *rbacv1.RoleRef, subjects []rbacv1.Subject) {
	if ref.APIGroup == "" {
		ref.APIGroup = rbacv1.GroupName
	}
	for i := range subjects {
		subject := &subjects[i]
		if subject.APIGroup == "" && (subject.Kind == rbacv1.UserKind || subject.Kind == rbacv1.GroupKind) {
			subject.APIGroup = rbacv1.GroupName
		}
	}
}
