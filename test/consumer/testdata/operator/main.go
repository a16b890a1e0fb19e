// Operator prints which ConfigMaps there are at a wildcard URL.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/remote"
)

func main() {
	c, err := remote.New(&rest.Config{Host: os.Args[1]}, nil)
	if err != nil {
		log.Fatal(err)
	}
	found, err := client.List[corev1.ConfigMap](context.Background(), c, schema.GroupResource{Resource: "configmaps"}, client.Scope{})
	if err != nil {
		log.Fatal(err)
	}
	for _, one := range found {
		fmt.Println(client.KeyOf(one))
	}
}
