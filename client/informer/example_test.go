package informer_test

import (
	"context"
	"fmt"
	"log"

	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client/informer"
)

// A program that knows all workspaces. With the URL of a provider's endpoint and the provider's own types, it would know the objects of all consumers.
func Example() {
	ctx := context.Background()
	factory, err := informer.NewFactory(&rest.Config{Host: "https://annex:6443", BearerToken: "secret"}, nil, informer.Options{})
	if err != nil {
		log.Fatal(err)
	}
	workspaces, err := informer.For[*tenancyv1alpha1.Workspace](factory, tenancyv1alpha1.SchemeGroupVersion.WithResource("workspaces"))
	if err != nil {
		log.Fatal(err)
	}
	workspaces.Informer().Add(ctx, &informer.Handler{Changed: func(_ context.Context, change informer.Change) {
		if change.Old == nil {
			fmt.Println(change.New.GetName(), "is new in", logicalcluster.From(change.New))
		}
	}})
	if err := factory.Start(ctx); err != nil {
		log.Fatal(err)
	}
	if err := factory.WaitForSync(ctx); err != nil {
		log.Fatal(err)
	}
	team, err := workspaces.Cluster("2f8kq1z0c7a9x3bd").Get("team")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(team.Status.Phase)
}
