/* The protocol of commit, forget, prune and sessions (docs/design.md), for Spin to search through
 * every order of steps of two writers, two prunes and a forget, with crashes and sessions that are
 * wrongly taken for dead. What must hold: whatever a live snapshot needs lies in a file that is
 * there. Each rule can be left out (-D and its name), and then a counterexample must be found:
 * tests/model/check does that.
 *
 * What stands for what. The journal is its head's number and the state that it adds up to: a
 * process looks at the state of one moment (one d_step), works, and places a record only if the
 * head is still the one it looked at. Blobs are bits. A pack's file is written whole or not at all:
 * the order of syncs is the power-cut tests' affair.
 */

#define CHUNK 1 /* c */
#define NODE 2  /* t, which names c */
#define OTHER 4 /* x, which another snapshot needs and which lies beside t */
#define NEW 8 /* what the first writer alone may have */
#define TREE (CHUNK | NODE)

#define PACKS 7 /* three at first, one of each writer, two that prunes copy to */
#define SNAPSHOTS 4
#define SESSIONS 5 /* the first is that of the initial packs, and long gone */

#define UNNAMED 0
#define LIVE 1
#define CONDEMNED 2
#define PURGED 3

/* The journal. */
byte head = 0;
byte state[PACKS];
bit snapshot[SNAPSHOTS]; /* is live */
byte needs[SNAPSHOTS];
bit ended[SESSIONS];

/* What lies in the file system. */
bit file[PACKS];
byte holds[PACKS];
byte session_of[PACKS];
byte next_copy = 5;

/* Packs of a session count as in use until the journal says that it is ended. */
#ifndef WITHOUT_ENDING_SESSIONS
#define MAY_GO(p) (session_of[p] == 0 || ended[session_of[p]])
#else
#define MAY_GO(p) 1
#endif

#define FOR_PACKS(p) for (p : 0 .. PACKS - 1)
#define FOR_SNAPSHOTS(s) for (s : 0 .. SNAPSHOTS - 1)

/* Every blob that a live snapshot needs lies in a file. */
inline expect_whole(s, p, there)
{
  there = 0;
  FOR_PACKS(p) {
    if
    :: file[p] -> there = there | holds[p]
    :: else
    fi
  }
  FOR_SNAPSHOTS(s) {
    assert(!snapshot[s] || (needs[s] & ~there) == 0)
  }
  s = 0; p = 0; there = 0
}

/* The blobs in packs that the mask of states selects (1 << state). */
inline blobs_in(mask, p, out)
{
  out = 0;
  FOR_PACKS(p) {
    if
    :: state[p] != UNNAMED && ((mask) & (1 << state[p])) -> out = out | holds[p]
    :: else
    fi
  }
  p = 0
}

/* The first pack of such a state that holds the blob joins `used`; `missing` if there is none. */
inline use_place(blob, mask, p, used, missing)
{
  byte place = PACKS;
  FOR_PACKS(p) {
    if
    :: place == PACKS && state[p] != UNNAMED && ((mask) & (1 << state[p])) &&
       (holds[p] & (blob)) -> place = p
    :: else
    fi
  }
  if
  :: place == PACKS -> missing = missing | (blob)
  :: else -> used = used | (1 << place)
  fi;
  place = 0; p = 0
}

/* Takes snapshot `me` of {t, c}. */
proctype Writer(byte me; byte session)
{
  byte p; byte s; byte there;
  byte used = 0;    /* packs in which blobs were found, a bit each */
  byte missing = 0; /* blobs that were not found */
  byte mine = PACKS;
  byte seen = 0;
  byte rescued = 0;
  byte own = 0;
  bit on_base = 0; /* the subtree was taken over from snapshot 0, unread */
  bit conflict = 0;

  /* Looks for what it needs, at one moment. */
  d_step {
    if
    :: snapshot[0] -> on_base = 1
    :: else
    fi
  }
  if
  :: on_base -> skip
  :: on_base = 0; /* no change cache, or --rescan */
     d_step {
       use_place(NODE, 1 << LIVE, p, used, missing);
#ifdef WITHOUT_CHILDREN_LOOKED_UP
       if
       :: missing & NODE -> use_place(CHUNK, 1 << LIVE, p, used, missing)
       :: else
       fi
#else
       use_place(CHUNK, 1 << LIVE, p, used, missing)
#endif
     }
  fi;

  if
  :: skip
  :: d_step { session == 1 -> own = NEW; missing = missing | own }
  fi;

  /* Writes what it did not find; may name the pack before the snapshot is done. */
  if
  :: missing != 0 ->
     d_step {
       mine = 2 + session;
       file[mine] = 1; holds[mine] = missing; session_of[mine] = session
     };
     if
     :: skip
     :: d_step { session == 1 -> seen = head; conflict = ended[session] };
        if
        :: !conflict ->
           d_step {
             if
             :: head == seen -> head++; state[mine] = LIVE
             :: else /* goes on without; the commit names it */
             fi
           }
        :: else -> goto done
        fi
     fi
  :: else
  fi;

commit:
  if
  :: skip
  :: goto done /* killed; its session is taken for dead, as that of a sleeping one may be */
  fi;
  d_step {
    seen = head;
    rescued = 0;
    conflict = 0;
#ifndef WITHOUT_ENDED_IS_A_CONFLICT
    conflict = ended[session];
#endif
#ifndef WITHOUT_BASE_IS_LIVE
    if
    :: on_base && !snapshot[0] ->
       /* Forgotten meanwhile: its packs are found packs. */
       there = 0;
       use_place(NODE, 1 << LIVE | 1 << CONDEMNED, p, used, there);
       use_place(CHUNK, 1 << LIVE | 1 << CONDEMNED, p, used, there);
       conflict = conflict || there != 0;
       there = 0
    :: else
    fi;
#endif
    FOR_PACKS(p) {
      if
      :: (used & (1 << p)) && state[p] == CONDEMNED ->
#ifndef WITHOUT_RESCUE
         rescued = rescued | (1 << p)
#endif
         skip
      :: (used & (1 << p)) && state[p] == PURGED ->
#ifndef WITHOUT_PURGED_IS_A_CONFLICT
         conflict = 1
#endif
         skip
      :: else
      fi
    }
    p = 0
  };
  if
  :: conflict -> goto done
  :: else
  fi;
  atomic {
    if
#ifndef WITHOUT_CHECKING_AGAIN
    :: head != seen -> goto commit
    :: else ->
#else
    :: skip ->
#endif
       d_step {
         head++;
         snapshot[me] = 1; needs[me] = TREE | own;
         if
         :: mine != PACKS && state[mine] == UNNAMED -> state[mine] = LIVE
         :: else
         fi;
         FOR_PACKS(p) {
           if
           :: (rescued & (1 << p)) && state[p] == CONDEMNED -> state[p] = LIVE
           :: else
           fi
         }
         expect_whole(s, p, there)
       }
    fi
  };
done:
  skip
}

proctype Forget()
{
  d_step { head++; snapshot[0] = 0 }
}

/* One prune that may do any of its steps, some times. */
proctype Prune(byte rounds; byte session)
{
  byte p; byte s; byte there; byte kept;
  byte seen;
  byte live;    /* blobs */
  byte old;     /* packs that go, a bit each */
  byte copy;    /* blobs that are copied out of them */
  byte target;  /* pack they are copied to */
  bit conflict = 0;

  do
  :: rounds == 0 -> break
  :: rounds > 0 -> rounds--;
    if
    /* Mark; condemn what holds nothing live, and perhaps rewrite what holds little. */
    :: skip;
mark:  skip;
       d_step {
         seen = head; live = 0; old = 0; copy = 0;
         conflict = ended[session];
         FOR_SNAPSHOTS(s) {
           if
           :: snapshot[s] -> live = live | needs[s]
           :: else
           fi
         }
         kept = 0;
#ifdef WITHOUT_CONDEMNED_ARE_NOT_KEPT
         blobs_in(1 << CONDEMNED, p, kept);
#endif
         /* Of several places of a blob the first is kept. */
         FOR_PACKS(p) {
           if
           :: state[p] == LIVE && !(holds[p] & live & ~kept) && MAY_GO(p) -> old = old | (1 << p)
           :: state[p] == LIVE && ((holds[p] & live & ~kept) || !MAY_GO(p)) -> kept = kept | holds[p]
           :: else
           fi
         }
         s = 0; p = 0; kept = 0
       };
       if
       :: skip
       :: d_step { /* pack 0 holds t and x: x alone is copied if it alone is live */
            if
            :: state[0] == LIVE && (live & TREE) == 0 && next_copy < PACKS && !(old & 1) ->
               copy = OTHER & live;
               old = old | 1;
               if
               :: copy ->
                  target = next_copy; next_copy++;
                  file[target] = 1; holds[target] = copy; session_of[target] = session
               :: else
               fi
            :: else
            fi
          }
       fi;
       if
       :: old == 0 || conflict -> skip
       :: else ->
          atomic {
            if
#ifndef WITHOUT_MARKING_AGAIN
            :: head != seen -> goto mark
            :: else ->
#else
            :: skip ->
#endif
               d_step {
                 head++;
                 FOR_PACKS(p) {
                   if
                   :: (old & (1 << p)) && state[p] == LIVE -> state[p] = CONDEMNED
                   :: else
                   fi
                 }
                 p = 0;
                 if
                 :: copy -> state[target] = LIVE
                 :: else
                 fi
               }
            fi
          }
       fi
    /* Purge what stands condemned, waiting for nobody (--now), and unlink it. */
    :: skip;
purge: skip;
       d_step {
         seen = head; old = 0;
         FOR_PACKS(p) {
           if
           :: state[p] == CONDEMNED -> old = old | (1 << p)
           :: else
           fi
         }
         p = 0
       };
       if
       :: old == 0 -> skip
       :: else ->
          atomic {
            if
#ifndef WITHOUT_RESCUED_ARE_NOT_PURGED
            :: head != seen -> goto purge
            :: else ->
#else
            :: skip ->
#endif
               d_step {
                 head++;
                 FOR_PACKS(p) {
                   if
                   :: old & (1 << p) -> state[p] = PURGED
                   :: else
                   fi
                 }
                 p = 0
               }
            fi
          };
          d_step {
            FOR_PACKS(p) {
              if
              :: old & (1 << p) -> file[p] = 0
              :: else
              fi
            }
            expect_whole(s, p, there)
          }
       fi
    /* Take a session for dead, be it or not. */
    :: d_step { !ended[1] -> head++; ended[1] = 1 }
    :: d_step { !ended[2] -> head++; ended[2] = 1 }
    :: d_step { session == 4 && !ended[3] -> head++; ended[3] = 1 }
    /* Remove the unnamed files of such a session: the journal is followed to its head first. */
    :: d_step {
         FOR_PACKS(p) {
           if
           :: file[p] && state[p] == UNNAMED && MAY_GO(p) -> file[p] = 0
           :: else
           fi
         }
         expect_whole(s, p, there)
       }
    fi;
    old = 0; live = 0; copy = 0; target = 0; seen = 0
  od
}

init {
  d_step {
    file[0] = 1; holds[0] = NODE | OTHER; state[0] = LIVE;
    file[1] = 1; holds[1] = CHUNK; state[1] = LIVE;
    file[2] = 1; holds[2] = CHUNK; state[2] = LIVE; /* two writers had it at the same time */
    snapshot[0] = 1; needs[0] = TREE;
    snapshot[1] = 1; needs[1] = OTHER
  };
  atomic {
    run Writer(2, 1);
    run Writer(3, 2);
    run Forget();
    run Prune(1, 3);
    run Prune(2, 4)
  }
}
