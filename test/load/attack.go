package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/hostile"
)

// attackCommand makes the program attack a server and do nothing else.
const attackCommand = "attack"

// attacking is what the process reads first. It then reads any value to strike,
// and another one to clean up.
type attacking struct {
	Host, Token, Attack string
	CA                  []byte
	Count               int
	Limit               time.Duration // for the strike
}

// attacked is what it prints when it is prepared, when the attack is over, and
// when all of it is cleaned up.
type attacked struct {
	Fault   string
	Answers map[int]int // by code, so far
}

// attackTimeout bounds what is done before and after a strike.
const attackTimeout = 10 * time.Minute

// runAttack is the process.
func runAttack(in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithTimeout(context.Background(), attackTimeout)
	defer cancel()
	decoder, encoder := json.NewDecoder(in), json.NewEncoder(out)
	var a attacking
	if err := decoder.Decode(&a); err != nil {
		return fmt.Errorf("reading what to do: %w", err)
	}
	attacks := hostile.Attacks()
	i := slices.IndexFunc(attacks, func(known hostile.Attack) bool { return known.Name == a.Attack })
	if i < 0 {
		return fmt.Errorf("unknown attack %q", a.Attack)
	}
	scene, err := hostile.NewScene(ctx, &rest.Config{Host: a.Host, BearerToken: a.Token, TLSClientConfig: rest.TLSClientConfig{CAData: a.CA}})
	if err != nil {
		return fmt.Errorf("setting the scene: %w", err)
	}
	// The answer to each thing read is how it went.
	tell := func(err error) error {
		told := attacked{Answers: scene.Answers()}
		if err != nil {
			told.Fault = err.Error()
		}
		return encoder.Encode(told)
	}
	strike, err := attacks[i].Prepare(ctx, scene, a.Count)
	if err := tell(err); err != nil {
		return err
	}
	for _, then := range []func() error{
		func() error {
			limited, cancel := context.WithTimeout(ctx, a.Limit)
			defer cancel()
			return strike(limited)
		},
		func() error { return errors.Join(scene.Unharmed(ctx), scene.Close(ctx)) },
	} {
		if err := decoder.Decode(&struct{}{}); err != nil {
			return fmt.Errorf("reading what to do next: %w", err)
		}
		if err := tell(then()); err != nil {
			return err
		}
	}
	return nil
}
