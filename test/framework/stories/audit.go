package stories

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"

	"github.com/annex-dev/annex/test/framework/annex"
)

// AuditPolicy is what the servers must record for the story of the auditor.
const AuditPolicy = `
apiVersion: audit.k8s.io/v1
kind: Policy
rules: [{level: Metadata}]
`

// audit is an auditor who reads who was let in, who was not, and why.
func audit(s *stage) {
	s.hires("universal", "bob")
	secret := "evidence-" + s.door.Name
	s.types("alice", s.in(s.org), "", "create", "secret", "generic", secret)
	s.types("alice", s.in(s.org), "", "create", "role", "reader", "--verb=get", "--resource=secrets", "--resource-name="+secret)
	s.types("alice", s.in(s.org), "", "create", "rolebinding", "reader", "--role=reader", "--user=bob")
	s.awaitsSuccess("bob", s.in(s.org), "", "get", "secret", secret)
	s.refused("bob", s.in(s.org), forbidden, "", "delete", "secret", secret)
	s.refused("mallory", s.in(s.org), forbidden, "", "get", "--raw", "/api/v1/namespaces/default/secrets/"+secret)
	type record struct{ who, as, verb, decision, reason string }
	wanted := []record{
		{"alice", "", "create", "allow", ""},
		{"bob", "", "get", "allow", `RoleBinding "reader`},
		{"bob", "", "delete", "forbid", ""},
		{"mallory", "", "get", "forbid", ""},
	}
	if s.door.Impersonates {
		s.types("alice", s.in(s.org), "", "get", "secret", secret, "--as=bob")
		wanted = append(wanted, record{"alice", "bob", "get", "allow", `RoleBinding "reader`})
	}
	for _, want := range wanted {
		annex.Eventually(s, func(context.Context) error {
			all, err := s.recorded()
			if err != nil {
				return err
			}
			for i := range all {
				event := &all[i]
				as := ""
				if event.ImpersonatedUser != nil {
					as = event.ImpersonatedUser.Username
				}
				if event.User.Username != want.who || as != want.as || event.Verb != want.verb || event.ObjectRef == nil || event.ObjectRef.Resource != "secrets" ||
					event.ObjectRef.Name != secret && event.Verb != "create" || event.Annotations["kcp.io/path"] != s.org {
					continue
				}
				if got := event.Annotations["authorization.k8s.io/decision"]; got != want.decision {
					continue // also before the right was known
				}
				if reason := event.Annotations["request.auth.kcp.io/reason"]; !strings.Contains(reason, want.reason) {
					return fmt.Errorf("the reason is %q, want %q", reason, want.reason)
				}
				if event.Annotations["tenancy.kcp.io/workspace"] == "" {
					return fmt.Errorf("nothing says in which cluster it was: %v", event.Annotations)
				}
				return nil
			}
			return fmt.Errorf("no record of %+v", want)
		})
	}
}

// recorded returns all complete records of all servers.
func (s *stage) recorded() (all []auditv1.Event, err error) {
	if len(s.door.AuditLogs) == 0 {
		return nil, errors.New("the door has no audit logs")
	}
	for _, name := range s.door.AuditLogs {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		lines := bufio.NewScanner(file)
		lines.Buffer(nil, 16<<20)
		for lines.Scan() {
			var event auditv1.Event
			if json.Unmarshal(lines.Bytes(), &event) == nil && event.Stage == auditv1.StageResponseComplete {
				all = append(all, event)
			}
		}
		if err := errors.Join(lines.Err(), file.Close()); err != nil {
			return nil, err
		}
	}
	return all, nil
}
