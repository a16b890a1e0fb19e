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

// What the process reads after it has prepared an attack.
const (
	stepStrike = "strike"
	stepClean  = "clean"
)

// attacking is what the process reads first.
type attacking struct {
	Host, Token, Attack string
	CA                  []byte
	Count               int
	Limit               time.Duration // for the strike
}

// attacked is what it prints when the attack is prepared, and after each step.
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
	for {
		var next string
		if err := decoder.Decode(&next); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("reading what to do next: %w", err)
		}
		var err error
		switch next {
		case stepStrike:
			limited, cancel := context.WithTimeout(ctx, a.Limit)
			err = strike(limited)
			cancel()
		case stepClean:
			err = errors.Join(scene.Unharmed(ctx), scene.Close(ctx))
		}
		if err := tell(err); err != nil {
			return err
		}
	}
}
