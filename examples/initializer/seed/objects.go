package seed

import (
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
	corev1apply "k8s.io/client-go/applyconfigurations/core/v1"
	rbacv1apply "k8s.io/client-go/applyconfigurations/rbac/v1"
)

// Names of what a workspace gets.
const (
	QuotaName       = "limits"
	RoleBindingName = "developers"
	ConfigMapName   = "help"
)

// Contents say what each new workspace gets.
type Contents struct {
	// Namespace is where the rest is.
	Namespace string
	// Group may edit the namespace.
	Group string
	// ConfigMaps and Secrets are how many the namespace may have.
	ConfigMaps, Secrets int64
	// Help is a text for users.
	Help string
}

// objects returns what a workspace gets, the namespace first.
func (c Contents) objects() []runtime.ApplyConfiguration {
	return []runtime.ApplyConfiguration{
		corev1apply.Namespace(c.Namespace),
		corev1apply.ResourceQuota(QuotaName, c.Namespace).WithSpec(corev1apply.ResourceQuotaSpec().WithHard(corev1.ResourceList{
			"count/configmaps": *resource.NewQuantity(c.ConfigMaps, resource.DecimalSI),
			"count/secrets":    *resource.NewQuantity(c.Secrets, resource.DecimalSI),
		})),
		rbacv1apply.RoleBinding(RoleBindingName, c.Namespace).
			WithRoleRef(rbacv1apply.RoleRef().WithAPIGroup(rbacv1.GroupName).WithKind("ClusterRole").WithName("edit")).
			WithSubjects(rbacv1apply.Subject().WithAPIGroup(rbacv1.GroupName).WithKind(rbacv1.GroupKind).WithName(c.Group)),
		corev1apply.ConfigMap(ConfigMapName, c.Namespace).WithData(map[string]string{"README": c.Help}),
	}
}
