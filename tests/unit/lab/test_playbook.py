from lab.playbook import Run, read_recap

OUTPUT = """
TASK [Say] ********
ok: [lb1] => {"msg": "other : ok=9 changed=9 failed=9"}

PLAY RECAP *********************************************************************
lb1                        : ok=12   changed=0    unreachable=0    failed=0    ignored=0
mycat-2.example.org        : ok=7    changed=2    unreachable=0    failed=1    ignored=0
"""


def test_recap_has_the_counters_of_every_host():
    recap = read_recap(OUTPUT)
    assert set(recap) == {"lb1", "mycat-2.example.org"}
    assert recap["lb1"] == {"ok": 12, "changed": 0, "unreachable": 0, "failed": 0, "ignored": 0}
    assert recap["mycat-2.example.org"]["failed"] == 1


def test_changed_names_the_hosts_that_changed():
    assert Run(2, OUTPUT, read_recap(OUTPUT)).changed == {"mycat-2.example.org"}


def test_a_run_that_reached_no_host_has_no_recap():
    assert read_recap("ERROR! the playbook could not be found") == {}


def test_said_finds_sentences_across_lines():
    assert "a host is missing" in Run(1, "fatal: a host\n    is  missing\n", {}).said
