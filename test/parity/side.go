package parity

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
)

const (
	// patience ends a wait for what never comes, on a busy machine too.
	patience = time.Minute
	// userAgent is the same on both sides, because the names of field managers follow from it.
	userAgent = "parity/1"
)

// Side is one of the two servers.
type Side struct {
	url       string
	client    *http.Client
	variables map[string]any
}

// NewSide returns the server that config is for, with the credentials of config. All cases know the variables.
func NewSide(config *rest.Config, variables map[string]any) (*Side, error) {
	config = rest.CopyConfig(config)
	config.UserAgent = userAgent
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("making an HTTP client: %w", err)
	}
	return &Side{url: config.Host, client: client, variables: variables}, nil
}

// Run sends the steps of a case and returns one normalized answer for each. id is the variable $id, which sets the objects of the case
// apart from those of others; its namespace $ns is made when the case mentions it. What the case creates outside of namespaces is deleted
// at the end.
func (s *Side) Run(ctx context.Context, c Case, id string) ([]Answer, error) {
	if c.needsNamespace() {
		if err := s.makeNamespace(ctx, id); err != nil {
			return nil, err
		}
	}
	answers, made, err := s.send(ctx, c, id)
	for _, path := range slices.Backward(made) {
		_, _ = s.do(context.WithoutCancel(ctx), request{method: http.MethodDelete, path: path})
	}
	return answers, err
}

// Prepare sends the steps of a case whose objects stay.
func (s *Side) Prepare(ctx context.Context, c Case) ([]Answer, error) {
	answers, _, err := s.send(ctx, c, "prepared")
	return answers, err
}

// send returns the answers, and the paths of what was made outside of namespaces.
func (s *Side) send(ctx context.Context, c Case, id string) (answers []Answer, made []string, err error) {
	known := map[string]any{"id": id, "ns": id}
	maps.Copy(known, s.variables)
	variables, err := resolve(c.variables, known)
	if err != nil {
		return nil, nil, err
	}
	for i, step := range c.Steps {
		r, err := newRequest(step, variables)
		if err != nil {
			return nil, made, fmt.Errorf("step %d: %w", i+1, err)
		}
		answer, err := s.repeat(ctx, step, r)
		if err != nil {
			return nil, made, fmt.Errorf("step %d, %s: %w", i+1, step.Do, err)
		}
		if path := answer.created(r); path != "" {
			made = append(made, path)
		}
		for name, path := range step.Save {
			if variables[name] = valueAt(answer.Body, path); strings.HasPrefix(path, "header.") {
				variables[name] = valueAt(answer.tree(), path)
			}
		}
		answer.normalize(step)
		answers = append(answers, answer)
	}
	return answers, made, nil
}

// repeat sends a request until the answer is the one that the step waits for. Past patience it returns the last answer.
func (s *Side) repeat(ctx context.Context, step Step, r request) (answer Answer, err error) {
	if len(step.Until) == 0 {
		return s.do(ctx, r)
	}
	waitErr := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		got, err := s.do(ctx, r)
		if err != nil {
			return false, err
		}
		answer = got
		for path, want := range step.Until {
			if !reflect.DeepEqual(valueAt(answer.tree(), path), want) {
				return false, nil
			}
		}
		return true, nil
	})
	if waitErr != nil && answer.Code == 0 {
		return answer, waitErr
	}
	return answer, nil
}

// makeNamespace makes a namespace and waits until the controllers have put into it what every namespace gets.
func (s *Side) makeNamespace(ctx context.Context, name string) error {
	body := map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name}}
	steps := []Step{
		{Do: "POST /api/v1/namespaces", Body: body},
		{Do: "GET /api/v1/namespaces/" + name + "/serviceaccounts/default", Until: map[string]any{"code": float64(http.StatusOK)}},
		{Do: "GET /api/v1/namespaces/" + name + "/configmaps/kube-root-ca.crt", Until: map[string]any{"code": float64(http.StatusOK)}},
	}
	for _, step := range steps {
		r, err := newRequest(step, nil)
		if err != nil {
			return err
		}
		answer, err := s.repeat(ctx, step, r)
		if err != nil {
			return fmt.Errorf("preparing namespace %s: %w", name, err)
		}
		if answer.Code >= http.StatusBadRequest {
			return fmt.Errorf("preparing namespace %s: %s is answered with %d: %v", name, step.Do, answer.Code, answer.Body)
		}
	}
	return nil
}
