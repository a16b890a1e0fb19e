package tree

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/cmd/kubectl-annex/session"
)

// head is what commands show of a Workspace. Most of a Workspace says who has written what, and is not decoded.
type head struct {
	Metadata struct {
		Name              string       `json:"name"`
		DeletionTimestamp *metav1.Time `json:"deletionTimestamp"`
		Annotations       struct {
			Cluster string `json:"kcp.io/cluster"`
		} `json:"annotations"`
	} `json:"metadata"`
	Spec struct {
		Cluster string                                  `json:"cluster"`
		URL     string                                  `json:"URL"`
		Type    *tenancyv1alpha1.WorkspaceTypeReference `json:"type"`
		Mount   *struct{}                               `json:"mount"`
	} `json:"spec"`
	Status struct {
		Phase corev1alpha1.LogicalClusterPhaseType `json:"phase"`
	} `json:"status"`
}

// workspace returns a Workspace with these fields only. What is mounted is not said.
func (h *head) workspace() tenancyv1alpha1.Workspace {
	w := tenancyv1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{
		Name: h.Metadata.Name, DeletionTimestamp: h.Metadata.DeletionTimestamp,
		Annotations: map[string]string{logicalcluster.AnnotationKey: h.Metadata.Annotations.Cluster},
	}}
	w.Spec.Cluster, w.Spec.URL, w.Spec.Type, w.Status.Phase = h.Spec.Cluster, h.Spec.URL, h.Spec.Type, h.Status.Phase
	if h.Spec.Mount != nil {
		w.Spec.Mount = &tenancyv1alpha1.Mount{}
	}
	return w
}

// decode appends the Workspaces in a list to all, and returns the continue token.
func decode(data []byte, all []tenancyv1alpha1.Workspace) ([]tenancyv1alpha1.Workspace, string, error) {
	var list struct {
		Metadata metav1.ListMeta `json:"metadata"`
		Items    []head          `json:"items"`
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return all, "", fmt.Errorf("decoding a list of workspaces: %w", err)
	}
	for i := range list.Items {
		all = append(all, list.Items[i].workspace())
	}
	return all, list.Metadata.Continue, nil
}

// Heads is the Read of the fields that commands show.
func Heads(ctx context.Context, s *session.Session, url string) (all []tenancyv1alpha1.Workspace, err error) {
	clients, err := s.Clients(url)
	if err != nil {
		return nil, err
	}
	err = pages(func(next string) (string, error) {
		request := clients.TenancyV1alpha1().RESTClient().Get().Resource("workspaces").SetHeader("Accept", "application/json").Param("limit", strconv.Itoa(page))
		if next != "" {
			request.Param("continue", next)
		}
		result := request.Do(ctx)
		// Only Error decodes the Status in a response.
		if err := result.Error(); err != nil {
			return "", err
		}
		data, err := result.Raw()
		if err == nil {
			all, next, err = decode(data, all)
		}
		return next, err
	})
	return all, err
}
