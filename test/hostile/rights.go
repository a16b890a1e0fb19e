package hostile

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

const rbacPath = "/apis/rbac.authorization.k8s.io/v1"

func clusterRole(name, more string) string {
	return fmt.Sprintf(`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":%q}%s}`, name, more)
}

// step is one request of an attack and how it may be answered.
type step struct {
	what, method, path, body, contentType string
	codes                                 []int
}

// take takes the steps in their order, all of them.
func (t *tenant) take(ctx context.Context, steps []step) error {
	var faults []error
	for _, step := range steps {
		var contentType []string
		if step.contentType != "" {
			contentType = []string{step.contentType}
		}
		a, err := t.send(ctx, step.method, step.path, step.body, contentType...)
		if err == nil {
			err = a.among(step.codes)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", step.what, err))
		}
	}
	return unlessOver(ctx, errors.Join(faults...))
}

// among returns an error unless the code is among codes; no codes mean any of 400 to 499. What a slow server has not finished says nothing.
func (a answer) among(codes []int) error {
	if a.code == http.StatusGatewayTimeout {
		return nil
	}
	for _, code := range codes {
		if a.code == code {
			return nil
		}
	}
	if len(codes) == 0 && a.code >= 400 && a.code < 500 {
		return nil
	}
	return fmt.Errorf("%d, want %v: %.500s", a.code, codes, a.body)
}

// prepareEscalation lets a user write RBAC who may neither bind nor escalate.
func prepareEscalation(ctx context.Context, s *Scene, _ int) (func(context.Context) error, error) {
	path, owner, err := s.newOwner(ctx, "escalation")
	if err != nil {
		return nil, err
	}
	defer owner.close()
	if _, err := owner.must(ctx, http.MethodPost, rbacPath+"/clusterroles", clusterRole("writer",
		`,"rules":[{"nonResourceURLs":["/"],"verbs":["access"]},{"apiGroups":["rbac.authorization.k8s.io"],"resources":["*"],"verbs":["get","list","create","update","patch","delete"]}]`),
		http.StatusCreated); err != nil {
		return nil, err
	}
	if err := s.operator.bind(ctx, path, "writer", "writer", limited); err != nil {
		return nil, err
	}
	user, err := s.as(limited, path)
	if err != nil {
		return nil, err
	}
	roles, bindings := rbacPath+"/clusterroles", rbacPath+"/clusterrolebindings"
	if err := user.until(ctx, roles, limited+" may read roles", ok); err != nil {
		return nil, err
	}
	all := `,"rules":[{"apiGroups":["*"],"resources":["*"],"verbs":["*"]}]`
	created, forbidden := []int{http.StatusCreated}, []int{http.StatusForbidden}
	return func(ctx context.Context) error {
		defer user.close()
		err := user.take(ctx, []step{
			{"the name of the greatest role of the system", http.MethodPost, roles, clusterRole("cluster-admin", ""), "", []int{http.StatusUnprocessableEntity}},
			{"the same by apply", http.MethodPatch, roles + "/cluster-admin?fieldManager=x", clusterRole("cluster-admin", ""), applyPatch, []int{http.StatusUnprocessableEntity}},
			{"deleting it", http.MethodDelete, roles + "/cluster-admin", "", "", nil},
			{"a binding to it", http.MethodPost, bindings, clusterRoleBinding("more", "cluster-admin", limited), "", forbidden},
			{"a binding to a role that is not there yet", http.MethodPost, bindings, clusterRoleBinding("later", "later", limited), "", []int{http.StatusForbidden, http.StatusNotFound}},
			{"an empty role", http.MethodPost, roles, clusterRole("mine", ""), "", created},
			{"a binding to it", http.MethodPost, bindings, clusterRoleBinding("mine", "mine", limited), "", created},
			{"more for the role", http.MethodPatch, roles + "/mine", `{` + all[1:] + `}`, mergePatch, forbidden},
			{"deleting the role", http.MethodDelete, roles + "/mine", "", "", []int{http.StatusOK}},
			{"the role again, with more", http.MethodPost, roles, clusterRole("mine", all), "", forbidden},
			{"a role that collects those of others", http.MethodPost, roles, clusterRole("mine", `,"aggregationRule":{"clusterRoleSelectors":[{}]}`), "", forbidden},
			{"another role for the binding", http.MethodPatch, bindings + "/mine", `{"roleRef":{"name":"cluster-admin"}}`, mergePatch, nil},
			{"another subject for a binding of others", http.MethodPatch, bindings + "/hostile-admin", `{"subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"` + limited + `"}]}`, mergePatch, forbidden},
			{"secrets in the end", http.MethodGet, "/api/v1/secrets", "", "", forbidden},
		})
		if err != nil || ctx.Err() != nil {
			return err
		}
		if err := s.storm(ctx, attacker, path, 1, 1, func(ctx context.Context, t *tenant, _ int) error {
			_, err := t.expect(ctx, http.MethodGet, "/api/v1/secrets", "", http.StatusOK)
			return err
		}); err != nil {
			return fmt.Errorf("the administrator is locked out: %w", err)
		}
		return nil
	}, nil
}

// prepareForgedFields has the administrator of a workspace write what only the server may.
func prepareForgedFields(ctx context.Context, s *Scene, _ int) (func(context.Context) error, error) {
	path, err := s.newWorkspace(ctx, "forged", attacker)
	if err != nil {
		return nil, err
	}
	const cluster = "/apis/core.kcp.io/v1alpha1/logicalclusters/cluster"
	below := strings.TrimPrefix(workspacesOf(path), "/clusters/"+path)
	workspace := func(spec string) string {
		return `{"apiVersion":"tenancy.kcp.io/v1alpha1","kind":"Workspace","metadata":{"name":"forged"},"spec":` + spec + `}`
	}
	return func(ctx context.Context) error {
		return s.storm(ctx, attacker, path, 1, 1, func(ctx context.Context, t *tenant, _ int) error {
			before, err := t.expect(ctx, http.MethodGet, cluster, "", http.StatusOK)
			if err != nil {
				return err
			}
			err = t.take(ctx, []step{
				{"that it may be deleted from inside", http.MethodPatch, cluster, `{"spec":{"directlyDeletable":true}}`, mergePatch, nil},
				{"whose it is", http.MethodPatch, cluster, `{"spec":{"owner":{"name":"other","cluster":"root","uid":"1"}}}`, mergePatch, nil},
				{"who made it", http.MethodPatch, cluster, `{"spec":{"createdBy":{"username":"` + victim + `"}}}`, mergePatch, nil},
				{"its status", http.MethodPatch, cluster + "/status", `{"status":{"phase":"Initializing"}}`, mergePatch, nil},
				{"deleting it from inside", http.MethodDelete, cluster, "", "", nil},
				{"another one", http.MethodPost, strings.TrimSuffix(cluster, "/cluster"), `{"apiVersion":"core.kcp.io/v1alpha1","kind":"LogicalCluster","metadata":{"name":"other"}}`, "", nil},
				{"a workspace that is a cluster of others", http.MethodPost, below, workspace(`{"cluster":"root"}`), "", nil},
				{"a workspace somewhere else", http.MethodPost, below, workspace(`{"URL":"https://127.0.0.1/clusters/root"}`), "", nil},
				{"an API of the victim", http.MethodPost, "/apis/apis.kcp.io/v1alpha2/apibindings",
					`{"apiVersion":"apis.kcp.io/v1alpha2","kind":"APIBinding","metadata":{"name":"a"},"spec":{"reference":{"export":{"path":"` + s.victimPath + `","name":"a"}}}}`, "", []int{http.StatusForbidden}},
				{"a zero byte in the name of a role", http.MethodPost, rbacPath + "/clusterroles", `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"a\u0000b"}}`, "", nil},
				{"a zero byte in a URL", http.MethodGet, rbacPath + "/clusterroles/a%00b", "", "", nil},
			})
			after, read := t.expect(ctx, http.MethodGet, cluster, "", http.StatusOK)
			if read == nil && after.version() != before.version() {
				read = fmt.Errorf("the LogicalCluster was changed: %s", after.body)
			}
			return errors.Join(err, read)
		})
	}, nil
}

// prepareHiddenTypes asks for a WorkspaceType of the victim, and for one that does not exist.
func prepareHiddenTypes(ctx context.Context, s *Scene, _ int) (func(context.Context) error, error) {
	path, err := s.newWorkspace(ctx, "types", attacker)
	if err != nil {
		return nil, err
	}
	below := strings.TrimPrefix(workspacesOf(path), "/clusters/"+path)
	return func(ctx context.Context) error {
		return s.storm(ctx, attacker, path, 1, 1, func(ctx context.Context, t *tenant, _ int) error {
			try := func(at, name string) (string, error) {
				a, err := t.expect(ctx, http.MethodPost, below, `{"apiVersion":"tenancy.kcp.io/v1alpha1","kind":"Workspace","metadata":{"name":"a"},"spec":{"type":{"path":"`+at+`","name":"`+name+`"}}}`,
					http.StatusForbidden)
				return strings.NewReplacer(at, "PATH", name, "NAME").Replace(string(a.body)), err
			}
			hidden, err := try(s.victimPath, "hidden")
			for _, missing := range [][2]string{{s.victimPath, "absent"}, {"root:nowhere", "hidden"}, {"root:nowhere", "absent"}} {
				got, tried := try(missing[0], missing[1])
				if tried == nil && got != hidden {
					tried = fmt.Errorf("%v is told from a hidden type: %s, and %s", missing, got, hidden)
				}
				err = errors.Join(err, tried)
			}
			return err
		})
	}, nil
}
