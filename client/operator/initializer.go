package operator

import (
	"context"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/generated/clientset/versioned"
)

// waitsForType says what a manager waits for.
const waitsForType = "Waiting for the endpoint of the initializer of a WorkspaceType. Is it the workspace of the WorkspaceType?"

// retry is the pause before a WorkspaceType that cannot be read is read again.
const retry = 2 * time.Second

// followInitializer calls set with the endpoint of the initializer of a WorkspaceType in the workspace of config, and then read, and returns
// when ctx ends. It waits for a type that does not exist yet. The endpoint of a type never changes.
func followInitializer(ctx context.Context, config *rest.Config, name string, set func([]string) error, read func()) error {
	clients, err := versioned.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("preparing to read WorkspaceTypes: %w", err)
	}
	missing := &waiting{where: []any{"workspaceType", name, "server", config.Host}}
	go missing.run(ctx)
	for {
		typ, err := clients.TenancyV1alpha1().WorkspaceTypes().Get(ctx, name, metav1.GetOptions{})
		if err == nil {
			var url string
			if url, err = initializerURL(config.Host, typ); err == nil {
				if err := set([]string{url}); err != nil {
					return err
				}
				missing.set("", nil)
				read()
				<-ctx.Done()
				return nil
			}
		}
		missing.set(waitsForType, err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(retry):
		}
	}
}

// initializerURL returns the endpoint of the initializer of typ for who reads it at the URL of its workspace.
func initializerURL(workspace string, typ *tenancyv1alpha1.WorkspaceType) (string, error) {
	if !typ.Spec.Initializer {
		return "", fmt.Errorf("the WorkspaceType %s has no initializer", typ.Name)
	}
	if host, here, ok := splitHost(workspace); ok {
		if err := absolute(workspace, here); err != nil {
			return "", err
		}
		return host + workspaceTypesPath + here + ":" + typ.Name + "/proxy/" + tenancyv1alpha1.InitializingWorkspaces, nil
	}
	for _, v := range typ.Status.VirtualWorkspaces {
		if v.Type == tenancyv1alpha1.VirtualWorkspaceTypeInitializing {
			return strings.TrimSuffix(v.URL, "/"), nil
		}
	}
	return "", fmt.Errorf("the WorkspaceType %s has no address for its initializer", typ.Name)
}
