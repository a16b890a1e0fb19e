package core

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apimachineryvalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/registry/kinds"
)

// enforceMountableSecrets is the annotation that is deprecated in Kubernetes.
const enforceMountableSecrets = "kubernetes.io/enforce-mountable-secrets"

func serviceAccounts() *kinds.Kind[corev1.ServiceAccount, *corev1.ServiceAccount] {
	return &kinds.Kind[corev1.ServiceAccount, *corev1.ServiceAccount]{
		Columns: []metav1.TableColumnDefinition{kinds.NameColumn(), kinds.AgeColumn()},
		Cells: func(sa *corev1.ServiceAccount) []any {
			return []any{sa.Name, kinds.Age(sa.CreationTimestamp)}
		},
		ReturnDeleted:      true,
		StandardFinalizers: true,
		Prepare: func(sa, _ *corev1.ServiceAccount) {
			// References to Secrets are in the namespace of the ServiceAccount and need only a name.
			for i := range sa.Secrets {
				sa.Secrets[i] = corev1.ObjectReference{Name: sa.Secrets[i].Name}
			}
		},
		Name: apimachineryvalidation.ValidateServiceAccountName,
		Warn: warnOfServiceAccount,
	}
}

// warnOfServiceAccount warns clients that set the deprecated annotation, but not clients that keep it.
func warnOfServiceAccount(sa, old *corev1.ServiceAccount) []string {
	if old != nil {
		if _, had := old.Annotations[enforceMountableSecrets]; had {
			return nil
		}
	}
	if _, has := sa.Annotations[enforceMountableSecrets]; !has {
		return nil
	}
	return []string{fmt.Sprintf("metadata.annotations[%s]: deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets", enforceMountableSecrets)}
}
