package storage

import (
	"context"
	"fmt"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	apistorage "k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/etcd3/testserver"
)

// startEtcd starts an etcd that the test stops and starts again with the same configuration.
func startEtcd(t *testing.T, config *embed.Config) *embed.Etcd {
	t.Helper()
	config.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	e, err := embed.StartEtcd(config)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-e.Server.ReadyNotify():
	case <-time.After(patience):
		t.Fatal("etcd does not start")
	}
	return e
}

func TestOutage_FailsClearlyAndLosesNothing(t *testing.T) {
	config := testserver.NewTestConfig(t)
	e := startEtcd(t, config)
	client, err := kubernetes.New(clientv3.Config{Endpoints: e.Server.Cluster().ClientURLs(), DialTimeout: patience, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	b := newTestBackend(t, client, coreCodec(t))
	typed, custom := configMapStore(t, b), widgetStore(t, b)
	waitReady(t, b)
	c1 := in(t.Context(), "c1")
	create(t, c1, typed, configMap("default", "before"))
	create(t, c1, custom, widget("default", "before", "red"))
	for _, s := range []*store{typed, custom} {
		waitSeen(t, s)
	}
	e.Server.HardStop()
	e.Close()

	for _, s := range []*store{typed, custom} {
		short, cancel := context.WithTimeout(c1, time.Second)
		err := s.Get(short, s.key("default", "before"), apistorage.GetOptions{}, s.newFunc())
		if !apierrors.IsTimeout(err) && !apierrors.IsServiceUnavailable(err) {
			t.Errorf("%s without etcd: %v, want a timeout or that it is not available", s.root, err)
		}
		// What the cache may answer it still does.
		if err := s.Get(short, s.key("default", "before"), apistorage.GetOptions{ResourceVersion: "0"}, s.newFunc()); err != nil {
			t.Errorf("%s from the cache without etcd: %v", s.root, err)
		}
		cancel()
	}

	e = startEtcd(t, config)
	defer e.Close()
	defer client.Close()
	for _, s := range []*store{typed, custom} {
		obj := object(configMap("default", "after"))
		if s == custom {
			obj = widget("default", "after", "red")
		}
		if err := wait.PollUntilContextTimeout(c1, 20*time.Millisecond, patience, true, func(context.Context) (bool, error) {
			err := s.Create(c1, keyFor(s, obj), obj.DeepCopyObject(), s.newFunc(), 0)
			return err == nil || apistorage.IsExist(err), nil
		}); err != nil {
			t.Fatalf("%s takes no writes after the outage: %v", s.root, err)
		}
		if err := wait.PollUntilContextTimeout(c1, 20*time.Millisecond, patience, true, func(context.Context) (bool, error) {
			got, _, err := tryList(c1, s, s.root, recursive)
			return err == nil && fmt.Sprint(got) == "[c1|default/after c1|default/before]", nil
		}); err != nil {
			t.Errorf("%s does not come back: %v", s.root, err)
		}
	}
	b.Destroy() // before its etcd
}

func TestOutage_WhatIsCurrentIsAskedOfMemoryOnly(t *testing.T) {
	config := testserver.NewTestConfig(t)
	e := startEtcd(t, config)
	endpoints := e.Server.Cluster().ClientURLs()
	e.Server.HardStop()
	e.Close()
	client, err := kubernetes.New(clientv3.Config{Endpoints: endpoints, DialTimeout: patience, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	b := newTestBackend(t, client, coreCodec(t))
	defer b.Destroy()
	s := configMapStore(t, b)
	for _, cache := range b.all() { // none of which can be filled
		has := make(chan bool, 1)
		go func() { has <- cache.Has(s.key("default", "any"), "1") }()
		select {
		case has := <-has:
			if has {
				t.Errorf("the empty cache of %s has an object", cache.Resource)
			}
		case <-time.After(patience):
			t.Fatalf("the cache of %s waits for etcd", cache.Resource)
		}
	}
}
