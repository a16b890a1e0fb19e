package rbac

import (
	"fmt"
	"strings"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/registry/kinds"
)

func roleColumns() []metav1.TableColumnDefinition {
	return []metav1.TableColumnDefinition{kinds.NameColumn(), created()}
}

// created is a column of roles, which show their creation time instead of their age.
func created() metav1.TableColumnDefinition {
	return metav1.TableColumnDefinition{Name: "Created At", Type: "date", Description: metav1.ObjectMeta{}.SwaggerDoc()["creationTimestamp"]}
}

func roleRow(o metav1.ObjectMeta) []any {
	return []any{o.Name, o.CreationTimestamp.UTC().Format(time.RFC3339)}
}

// bindingColumns returns the columns of roleBindings or clusterRoleBindings. ref describes the reference to the role.
func bindingColumns(kind, ref string) []metav1.TableColumnDefinition {
	// Whether it can change is of no interest in a list.
	ref = strings.TrimSuffix(ref, " This field is immutable.")
	return []metav1.TableColumnDefinition{
		kinds.NameColumn(),
		{Name: "Role", Type: "string", Description: ref},
		kinds.AgeColumn(),
		{Name: "Users", Type: "string", Priority: 1, Description: "Users in the " + kind},
		{Name: "Groups", Type: "string", Priority: 1, Description: "Groups in the " + kind},
		{Name: "ServiceAccounts", Type: "string", Priority: 1, Description: "ServiceAccounts in the " + kind},
	}
}

func bindingRow(o metav1.ObjectMeta, ref rbacv1.RoleRef, subjects []rbacv1.Subject) []any {
	var users, groups, accounts []string
	for _, subject := range subjects {
		switch subject.Kind {
		case rbacv1.UserKind:
			users = append(users, subject.Name)
		case rbacv1.GroupKind:
			groups = append(groups, subject.Name)
		case rbacv1.ServiceAccountKind:
			accounts = append(accounts, subject.Namespace+"/"+subject.Name)
		}
	}
	return []any{
		o.Name, fmt.Sprintf("%s/%s", ref.Kind, ref.Name), kinds.Age(o.CreationTimestamp),
		strings.Join(users, ", "), strings.Join(groups, ", "), strings.Join(accounts, ", "),
	}
}
