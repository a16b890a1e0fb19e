package check

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	codecs "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/registry/kinds"
)

const (
	// answerTimeout bounds one answer. The host gives discovery five seconds before it calls an API unavailable.
	answerTimeout = 10 * time.Second
	// pollInterval is the pause between two looks.
	pollInterval = time.Second
)

// Report is what one look has found.
type Report struct {
	// Server is the URL of the host, Version that of its Kubernetes.
	Server  string `json:"server"`
	Version string `json:"version"`
	// GroupVersions are all that Annex serves to a host.
	GroupVersions []GroupVersion `json:"groupVersions"`
	// Good says that there is no fault in any of them.
	Good bool `json:"good"`
}

// GroupVersion is what was found about one of them.
type GroupVersion struct {
	// Name is one such as tenancy.kcp.io/v1alpha1.
	Name string `json:"name"`
	// Resources are those in the answer, without subresources.
	Resources []string `json:"resources,omitempty"`
	// Took is how long the answer took.
	Took metav1.Duration `json:"took"`
	// APIService says how the host itself sees it; empty when the user may not read that.
	APIService string `json:"apiService,omitempty"`
	// Faults say what is wrong.
	Faults []string `json:"faults,omitempty"`
}

// Once looks at the host that config leads to. The error says why the host could not be asked at all.
func Once(ctx context.Context, config *rest.Config) (*Report, error) {
	client, err := clientFor(config)
	if err != nil {
		return nil, err
	}
	report := &Report{Server: config.Host, Good: true}
	version := struct {
		GitVersion string `json:"gitVersion"`
	}{}
	if _, err := get(ctx, client, "/version", &version); err != nil {
		return nil, fmt.Errorf("asking %s for its version: %w", config.Host, err)
	}
	report.Version = version.GitVersion
	expected := kinds.All.HostVersions()
	report.GroupVersions = make([]GroupVersion, len(expected))
	var all sync.WaitGroup
	for i, served := range expected {
		all.Go(func() { report.GroupVersions[i] = look(ctx, client, served) })
	}
	all.Wait()
	for _, gv := range report.GroupVersions {
		report.Good = report.Good && len(gv.Faults) == 0
	}
	return report, nil
}

// Until looks again and again until there is no fault, and returns what it saw last. The error says why the host could not
// be asked at all when ctx ended.
func Until(ctx context.Context, config *rest.Config) (report *Report, err error) {
	_ = wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		seen, fault := Once(ctx, config)
		// A look that was cut short says nothing; what the one before it saw does.
		if ctx.Err() == nil || (report == nil && err == nil) {
			report, err = seen, fault
		}
		return err == nil && report.Good, nil
	})
	return report, err
}

// clientFor returns a client without limits of its own.
func clientFor(config *rest.Config) (*rest.RESTClient, error) {
	config = rest.CopyConfig(config)
	config.QPS, config.NegotiatedSerializer = -1, codecs.Codecs.WithoutConversion()
	httpClient, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("using the kubeconfig: %w", err)
	}
	client, err := rest.UnversionedRESTClientForConfigAndClient(config, httpClient)
	if err != nil {
		return nil, fmt.Errorf("using the kubeconfig: %w", err)
	}
	return client, nil
}

// get reads the JSON at path into into, and returns how long that took.
func get(ctx context.Context, client *rest.RESTClient, path string, into any) (time.Duration, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, answerTimeout, errors.New("no answer within "+answerTimeout.String()))
	defer cancel()
	before := time.Now()
	result := client.Get().AbsPath(path).SetHeader("Accept", "application/json").MaxRetries(0).Do(ctx)
	took := time.Since(before)
	// Only this one reads the status in the answer.
	err := result.Error()
	if err == nil {
		var data []byte
		if data, err = result.Raw(); err == nil {
			err = json.Unmarshal(data, into)
		}
	}
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return took, err
}

// look asks for one group version.
func look(ctx context.Context, client *rest.RESTClient, expected kinds.Served) GroupVersion {
	found := GroupVersion{Name: expected.String()}
	list := metav1.APIResourceList{}
	took, err := get(ctx, client, "/apis/"+found.Name, &list)
	found.Took = metav1.Duration{Duration: took}
	if err != nil {
		found.Faults = append(found.Faults, "no discovery: "+explain(err))
	} else {
		found.Faults = append(found.Faults, found.read(list, expected.Kinds)...)
	}
	state, fault := apiService(ctx, client, expected.GroupVersion)
	found.APIService = state
	if fault != "" {
		found.Faults = append(found.Faults, fault)
	}
	return found
}

// read takes the resources from list and returns what is missing.
func (gv *GroupVersion) read(list metav1.APIResourceList, expected []string) []string {
	kinds := map[string]bool{}
	for _, resource := range list.APIResources {
		if !strings.Contains(resource.Name, "/") {
			gv.Resources = append(gv.Resources, resource.Name)
			kinds[resource.Kind] = true
		}
	}
	slices.Sort(gv.Resources)
	var missing []string
	for _, kind := range expected {
		if !kinds[kind] {
			missing = append(missing, kind)
		}
	}
	if len(missing) > 0 {
		return []string{"does not serve the kinds " + strings.Join(missing, ", ")}
	}
	return nil
}

// explain says in a user's words why the host gave no answer.
func explain(err error) string {
	switch {
	case apierrors.IsNotFound(err):
		return "the host does not know it, since no APIService is registered for it"
	case apierrors.IsServiceUnavailable(err):
		return "the host does not reach Annex (503)"
	case apierrors.IsUnauthorized(err), apierrors.IsForbidden(err):
		return fmt.Sprintf("refused (%d): %v", code(err), err)
	}
	return err.Error()
}

// code returns the HTTP status of a refusal.
func code(err error) int32 {
	if status := apierrors.APIStatus(nil); errors.As(err, &status) {
		return status.Status().Code
	}
	return 0
}
